//! The exit codes, in one table. Scripts rely on them, so a number never changes its meaning.

use std::process::ExitCode;

/// How the command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Ok,
    Failed,
    Usage,
    NotPermitted,
    NotFound,
    Found,
    DoesNotPass,
    ProbeDiffers,
}

impl Exit {
    pub(crate) const ALL: [Exit; 8] = [
        Exit::Ok,
        Exit::Failed,
        Exit::Usage,
        Exit::NotPermitted,
        Exit::NotFound,
        Exit::Found,
        Exit::DoesNotPass,
        Exit::ProbeDiffers,
    ];

    pub(crate) fn number(self) -> u8 {
        match self {
            Exit::Ok => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::NotPermitted => 3,
            Exit::NotFound => 4,
            Exit::Found => 5,
            Exit::DoesNotPass => 6,
            Exit::ProbeDiffers => 7,
        }
    }

    pub(crate) fn meaning(self) -> &'static str {
        match self {
            Exit::Ok => "it worked",
            Exit::Failed => "the operation failed, or a linted file has errors",
            Exit::Usage => "the command line makes no sense",
            Exit::NotPermitted => "this user may not do that; most operations need root",
            Exit::NotFound => "there is no such network, container or namespace",
            Exit::Found => "the doctor found something",
            Exit::DoesNotPass => "the packet that was explained does not pass, or nobody can tell",
            Exit::ProbeDiffers => "the probe fared otherwise than was explained",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exit_code_has_its_own_number() {
        let numbers: Vec<u8> = Exit::ALL.iter().map(|exit| exit.number()).collect();
        assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6, 7]);
    }
}
