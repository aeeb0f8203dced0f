//! Sources of firewalld's zones, over the system bus. Where there is no bus or no firewalld there
//! is no source either: it forgets them when it ends.

use std::time::Duration;

use ropewalk_netstate::{KernelError, resource::FirewalldSource};

use super::Linux;
use crate::dbus::{Activation, Bus, CallError, MethodCall, Reply};

const FIREWALLD: &str = "org.fedoraproject.FirewallD1";

/// How long a question may take.
const ANSWER: Duration = Duration::from_secs(5);
/// How long a change may take, and starting firewalld for it: as long as D-Bus libraries wait.
const CHANGE: Duration = Duration::from_secs(25);

impl Linux {
    /// Whether firewalld runs. An error where nobody can say: where there is no system bus.
    pub fn has_firewalld(&mut self) -> Result<bool, KernelError> {
        let question = MethodCall {
            destination: "org.freedesktop.DBus",
            path: "/org/freedesktop/DBus",
            interface: "org.freedesktop.DBus",
            member: "NameHasOwner",
            arguments: &[FIREWALLD],
            activation: Activation::Leave,
        };
        Ok(self.call(&question, ANSWER)? == Reply::Boolean(true))
    }

    /// Calls over the connection that is open; one that has failed is not used again.
    fn call(&mut self, call: &MethodCall<'_>, patience: Duration) -> Result<Reply, CallError> {
        let mut bus = match self.bus.take() {
            Some(bus) => bus,
            None => Bus::connect()?,
        };
        let answer = bus.call(call, patience);
        if matches!(answer, Ok(_) | Err(CallError::Refused { .. })) {
            self.bus = Some(bus);
        }
        answer
    }

    fn call_zone(
        &mut self,
        member: &str,
        source: &FirewalldSource,
        activation: Activation,
        patience: Duration,
    ) -> Result<Reply, CallError> {
        let call = MethodCall {
            destination: FIREWALLD,
            path: "/org/fedoraproject/FirewallD1",
            interface: "org.fedoraproject.FirewallD1.zone",
            member,
            arguments: &[&source.zone, &source.address.to_string()],
            activation,
        };
        self.call(&call, patience)
    }
}

/// Finds a source.
pub(super) fn find(
    linux: &mut Linux,
    wanted: &FirewalldSource,
) -> Result<Option<FirewalldSource>, KernelError> {
    match linux.call_zone("querySource", wanted, Activation::Leave, ANSWER) {
        Ok(Reply::Boolean(true)) => Ok(Some(wanted.clone())),
        Ok(_) => Ok(None),
        Err(failure) if is_absence(&failure) => Ok(None),
        Err(failure) => Err(failure.into()),
    }
}

/// Adds a source to its zone; one that is there is fine.
pub(super) fn create(linux: &mut Linux, wanted: &FirewalldSource) -> Result<(), KernelError> {
    match linux.call_zone("addSource", wanted, Activation::Start, CHANGE) {
        Err(failure) if says(&failure, &["ZONE_ALREADY_SET"]) => Ok(()),
        other => Ok(other.map(drop)?),
    }
}

/// Removes a source from its zone; one that is not there is fine.
pub(super) fn delete(linux: &mut Linux, there: &FirewalldSource) -> Result<(), KernelError> {
    match linux.call_zone("removeSource", there, Activation::Leave, CHANGE) {
        Err(failure) if is_absence(&failure) => Ok(()),
        other => Ok(other.map(drop)?),
    }
}

/// Whether the failure means that there is no such source: the bus, firewalld or the zone is
/// missing, or the address is in no zone, or in another.
fn is_absence(failure: &CallError) -> bool {
    let missing_service = ["ServiceUnknown", "NameHasNoOwner", "NoReply", "Disconnected"];
    match failure {
        CallError::Gone(_) => true,
        CallError::Failed(_) => false,
        CallError::Refused { name, .. } => {
            name.strip_prefix("org.freedesktop.DBus.Error.")
                .is_some_and(|name| missing_service.contains(&name))
                || says(
                    failure,
                    &["NOT_ENABLED", "UNKNOWN_SOURCE", "ZONE_CONFLICT", "INVALID_ZONE"],
                )
        }
    }
}

/// Whether it is firewalld's error with one of these codes, as in `NOT_ENABLED: source 10.0.0.1`.
fn says(failure: &CallError, codes: &[&str]) -> bool {
    let CallError::Refused { name, text } = failure else { return false };
    let code = text.split(':').next().unwrap_or_default();
    name.starts_with(FIREWALLD) && codes.contains(&code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(name: &str, text: &str) -> CallError {
        CallError::Refused { name: name.into(), text: text.into() }
    }

    #[test]
    fn what_is_not_there_is_told_from_what_went_wrong() {
        let exception = "org.fedoraproject.FirewallD1.Exception";
        for absence in [
            refused("org.freedesktop.DBus.Error.ServiceUnknown", "no such name"),
            refused(exception, "UNKNOWN_SOURCE: '10.0.0.1/32' is not in any zone"),
            refused(exception, "NOT_ENABLED"),
            CallError::Gone(crate::error::error("closed")),
        ] {
            assert!(is_absence(&absence), "{absence:?}");
        }
        for trouble in [
            refused("org.freedesktop.DBus.Error.AccessDenied", "NOT_ENABLED: no"),
            refused(exception, "PANIC_MODE"),
            refused(exception, "COMMAND_FAILED: NOT_ENABLED"),
            CallError::Failed(crate::error::error("no answer")),
        ] {
            assert!(!is_absence(&trouble), "{trouble:?}");
        }
    }
}
