//! Fuzzing on a stable compiler: inputs of a corpus, and what a seeded sequence of numbers makes of
//! them. It must never let an input pass that panics, takes long, or takes much memory; and it
//! knows nothing of what it feeds.
//!
//! The corpus of a target is the folder `fuzz/corpus/TARGET` of the workspace: a file for each
//! input, those that are no text as `.hex`. An input that was too much is written there, so that
//! it is tried first from then on.

use std::{
    env, fs,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// How long a target is tried where `ROPEWALK_FUZZ_SECONDS` does not say.
const SHORT: Duration = Duration::from_secs(1);

/// No input may take longer; on a machine that is busy with other things it may take a while.
const LONGEST: Duration = Duration::from_secs(20);

/// No target may make the process larger by more, in KiB.
const MOST_MEMORY: u64 = 512 * 1024;

/// No input is longer, in bytes.
const LONGEST_INPUT: usize = 64 * 1024;

/// Feeds a target with every input of its corpus, and then with what becomes of them.
///
/// # Panics
///
/// If the target panics, takes too long or too much memory, or has no corpus.
pub fn fuzz(target: &str, mut feed: impl FnMut(&[u8])) {
    let corpus = Corpus::read(target);
    let watch = Watch::start(target);
    let memory = peak_memory();
    let mut try_one = |input: &[u8]| {
        watch.begins(input);
        let ended = catch_unwind(AssertUnwindSafe(|| feed(input)));
        watch.ends();
        if let Err(panic) = ended {
            tell(&format!("{target}: see {}", corpus.keep(input).display()));
            resume_unwind(panic);
        }
    };
    corpus.inputs.iter().for_each(|input| try_one(input));
    let seconds = env::var("ROPEWALK_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
    let duration = seconds.map_or(SHORT, Duration::from_secs);
    let seed = env::var("ROPEWALK_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let mut numbers = Numbers(seed);
    let begun = Instant::now();
    let mut count = 0_u64;
    while begun.elapsed() < duration {
        let input = corpus.mutate(&mut numbers);
        try_one(&input);
        count += 1;
        let is_large = count.is_multiple_of(256) && peak_memory() > memory + MOST_MEMORY;
        assert!(
            !is_large,
            "{target}: much memory was taken, see {}",
            corpus.keep(&input).display()
        );
    }
    tell(&format!("FUZZED: {target} with {count} inputs, seed {seed}"));
}

#[expect(clippy::print_stderr, reason = "who looks for inputs wants to know of them")]
fn tell(text: &str) {
    eprintln!("{text}");
}

struct Corpus {
    folder: PathBuf,
    inputs: Vec<Vec<u8>>,
}

impl Corpus {
    fn read(target: &str) -> Self {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
        let folder = workspace.expect("the workspace is above").join("fuzz/corpus").join(target);
        let entries = fs::read_dir(&folder).unwrap_or_else(|error| {
            panic!("{}: {error}; a target needs a corpus", folder.display())
        });
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        let read = |path: &PathBuf| {
            let bytes = fs::read(path).expect("a corpus can be read");
            if path.extension().is_some_and(|ending| ending == "hex") {
                unhex(&bytes)
            } else {
                bytes
            }
        };
        let inputs: Vec<Vec<u8>> = paths.iter().map(read).collect();
        assert!(!inputs.is_empty(), "{} is empty", folder.display());
        Self { folder, inputs }
    }

    /// Writes an input, under a name that follows from it.
    fn keep(&self, input: &[u8]) -> PathBuf {
        let hash = input.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let path = self.folder.join(format!("found-{hash:016x}.hex"));
        let text = input.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        // Whoever cannot write has the seed.
        let _ = fs::write(&path, text + "\n");
        path
    }

    fn mutate(&self, numbers: &mut Numbers) -> Vec<u8> {
        let mut input = numbers.choose(&self.inputs).clone();
        for _ in 0..=numbers.below(6) {
            self.mutate_once(&mut input, numbers);
        }
        input.truncate(LONGEST_INPUT);
        input
    }

    fn mutate_once(&self, input: &mut Vec<u8>, numbers: &mut Numbers) {
        const ODD: [u8; 12] = [0, 1, 0x7f, 0x80, 0xff, b'"', b'{', b'[', b'\\', b'-', b'9', b','];
        let start = numbers.below(input.len() + 1);
        let length = numbers.below((input.len() - start).min(64) + 1);
        match numbers.below(8) {
            0 => {
                let bit = 1 << numbers.below(8);
                input.iter_mut().skip(start).take(1).for_each(|byte| *byte ^= bit);
            }
            1 => {
                let odd = *numbers.choose(&ODD);
                input.iter_mut().skip(start).take(1).for_each(|byte| *byte = odd);
            }
            2 => drop(input.drain(start..start + length)),
            3 => {
                let piece = input[start..start + length].to_vec();
                let times = 1 + numbers.below(4);
                input.splice(start..start, piece.repeat(times));
            }
            4 => {
                let other = numbers.choose(&self.inputs);
                let from = numbers.below(other.len() + 1);
                let piece = &other[from..(from + 1 + numbers.below(64)).min(other.len())];
                input.splice(start..start + length, piece.iter().copied());
            }
            5 => input.truncate(start),
            6 => drop(
                input.splice(start..start, [*numbers.choose(&ODD)].repeat(1 << numbers.below(12))),
            ),
            _ => {
                let number = [0, u64::MAX, 1 << 31, 1 << 63, 65_536][numbers.below(5)];
                let text = number.to_string();
                let bytes = number.to_le_bytes();
                let piece = if numbers.below(2) == 0 { text.as_bytes() } else { &bytes[..4] };
                input.splice(start..start + length, piece.iter().copied());
            }
        }
    }
}

fn unhex(text: &[u8]) -> Vec<u8> {
    let digits: Vec<u8> = text.iter().copied().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| str::from_utf8(pair).ok().and_then(|p| u8::from_str_radix(p, 16).ok());
    digits.chunks(2).filter_map(byte).collect()
}

/// The most memory that this process has had, in KiB.
fn peak_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().split(' ').next().and_then(|number| number.parse().ok()).unwrap_or_default()
}

/// Ends the process if an input takes too long: there is no other way out of a loop.
struct Watch(Arc<(Mutex<Watched>, Condvar)>);

#[derive(Default)]
struct Watched {
    input: Vec<u8>,
    begun: Option<Instant>,
    is_over: bool,
}

impl Watch {
    fn start(target: &str) -> Self {
        let watch = Self(Arc::default());
        let (shared, target) = (Arc::clone(&watch.0), target.to_owned());
        thread::spawn(move || {
            let (state, changed) = &*shared;
            let mut watched = state.lock().unwrap_or_else(PoisonError::into_inner);
            while !watched.is_over {
                let waited = changed.wait_timeout(watched, Duration::from_secs(1));
                watched = waited.unwrap_or_else(PoisonError::into_inner).0;
                if watched.begun.is_some_and(|begun| begun.elapsed() > LONGEST) {
                    let path = Corpus::read(&target).keep(&watched.input);
                    tell(&format!("{target}: an input takes too long, see {}", path.display()));
                    std::process::abort();
                }
            }
        });
        watch
    }

    fn change(&self, change: impl FnOnce(&mut Watched)) {
        change(&mut self.0.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn begins(&self, input: &[u8]) {
        self.change(|watched| {
            input.clone_into(&mut watched.input);
            watched.begun = Some(Instant::now());
        });
    }

    fn ends(&self) {
        self.change(|watched| watched.begun = None);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.change(|watched| watched.is_over = true);
        self.0.1.notify_all();
    }
}

/// Numbers that look random and follow from a seed (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let number = usize::try_from((mixed ^ (mixed >> 31)) >> 33).unwrap_or_default();
        number % end.max(1)
    }

    fn choose<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_that_panics_is_found_and_one_that_does_not_is_not() {
        fuzz("testkit", |_| {});
        let found = catch_unwind(|| {
            fuzz("testkit", |input| assert!(!input.windows(2).any(|pair| pair == b"\"9")));
        });
        assert!(found.is_err());
        // What was found is no part of the corpus of a test that wants to find it.
        for entry in fs::read_dir(Corpus::read("testkit").folder).expect("it is there").flatten() {
            if entry.file_name().to_string_lossy().starts_with("found-") {
                fs::remove_file(entry.path()).expect("it was written just now");
            }
        }
    }

    #[test]
    fn hexadecimal_digits_are_bytes() {
        assert_eq!(unhex(b"00 ff\n7F"), [0, 0xff, 0x7f]);
    }
}
