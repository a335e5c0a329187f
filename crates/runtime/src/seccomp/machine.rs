//! Classic BPF as the kernel checks and runs it, for tests and fuzzing: what libseccomp and the prologue emit.

use barge_sys::seccomp::{Instruction, MAX_INSTRUCTIONS};

/// What a filter sees of a system call (`struct seccomp_data`).
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Call {
    pub(crate) number: u32,
    pub(crate) architecture: u32,
    pub(crate) arguments: [u64; 6],
}

/// The bytes of `struct seccomp_data`.
const DATA: u32 = 64;

impl Call {
    fn word(&self, offset: u32) -> u32 {
        let half = |index: u32| {
            let argument = self.arguments[index as usize / 8].to_le_bytes();
            let at = index as usize % 8;
            u32::from_le_bytes([argument[at], argument[at + 1], argument[at + 2], argument[at + 3]])
        };
        match offset {
            0 => self.number,
            4 => self.architecture,
            8 | 12 => 0,
            _ => half(offset - 16),
        }
    }
}

/// As `bpf_check_classic` and `seccomp_check_filter` of the kernel: lengths, known operations, jumps inside.
pub(crate) fn check(program: &[Instruction]) {
    assert!((1..=MAX_INSTRUCTIONS).contains(&program.len()), "{} instructions", program.len());
    for (at, i) in program.iter().enumerate() {
        let left = program.len() - at - 1;
        match i.code {
            0x20 => assert!(i.operand < DATA && i.operand.is_multiple_of(4), "{at}: load from {}", i.operand),
            0x05 => assert!((i.operand as usize) < left, "{at}: jump by {} of {left}", i.operand),
            0x15 | 0x25 | 0x35 | 0x45 => {
                let farthest = usize::from(i.jump_true.max(i.jump_false));
                assert!(farthest < left, "{at}: jump by {farthest} of {left}");
            }
            0x02 | 0x03 | 0x60 | 0x61 => assert!(i.operand < 16, "{at}: cell {}", i.operand),
            0x54 | 0x06 => {}
            other => panic!("{at}: unknown operation {other:#x}"),
        }
    }
    assert_eq!(program[program.len() - 1].code, 0x06, "the last instruction returns");
}

/// The answer of a filter that [`check`] has passed: it ends, because all jumps go forward.
pub(crate) fn run(program: &[Instruction], call: Call) -> u32 {
    let (mut accumulator, mut index, mut cells) = (0u32, 0u32, [0u32; 16]);
    let mut at = 0;
    loop {
        let i = program[at];
        at += 1;
        let mut jump = |holds: bool| at += usize::from(if holds { i.jump_true } else { i.jump_false });
        match i.code {
            0x20 => accumulator = call.word(i.operand),
            0x60 => accumulator = cells[i.operand as usize],
            0x61 => index = cells[i.operand as usize],
            0x02 => cells[i.operand as usize] = accumulator,
            0x03 => cells[i.operand as usize] = index,
            0x54 => accumulator &= i.operand,
            0x15 => jump(accumulator == i.operand),
            0x25 => jump(accumulator > i.operand),
            0x35 => jump(accumulator >= i.operand),
            0x45 => jump(accumulator & i.operand != 0),
            0x05 => at += i.operand as usize,
            0x06 => return i.operand,
            other => panic!("unknown operation {other:#x}"),
        }
    }
}
