//! Which signals a process that stands between a program and the world passes on to the program: nearly all.

/// Signals that speak of a process itself, not to the program behind it, and so stay as they are: those of faults, of
/// job control by the terminal, and the two that nobody can catch.
const OWN: [i32; 11] = [4, 5, 6, 7, 8, 9, 11, 19, 21, 22, 31];
/// The C library's; it does not let anybody block them.
const LIBRARY: [i32; 2] = [32, 33];
const SIGRTMAX: i32 = 64;

pub(crate) const SIGPIPE: i32 = 13;
pub(crate) const SIGCHLD: i32 = 17;
pub(crate) const SIGURG: i32 = 23;
pub(crate) const SIGWINCH: i32 = 28;

/// Every signal that is not about the process that gets it, but for `except`.
pub(crate) fn passed_on(except: &[i32]) -> Vec<i32> {
    let stays = |signal: &i32| OWN.contains(signal) || LIBRARY.contains(signal) || except.contains(signal);
    (1..=SIGRTMAX).filter(|signal| !stays(signal)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_but_a_processs_own_are_passed_on() {
        let passed = passed_on(&[SIGCHLD, SIGURG]);
        for signal in [1, 2, 3, 10, 12, 13, 14, 15, 18, 20, 28, 30, 34, 37, 64] {
            assert!(passed.contains(&signal), "{signal}");
        }
        for signal in [0, 9, 11, 17, 19, 21, 22, 23, 32, 33, 65] {
            assert!(!passed.contains(&signal), "{signal}");
        }
    }
}
