//! Device rules as a program of cgroup v2. Pure.
//!
//! The program gets kind, access and numbers of the device and answers 1 (may) or 0 (may not). The last rule that
//! matches decides, so the rules are tried from the last to the first; where none matches, nothing is allowed,
//! unless the first rule says otherwise. `struct bpf_cgroup_dev_ctx` in `linux/bpf.h` is the input.

use barge_sys::bpf::Instruction;

use super::device_rules::{Access, DeviceKind, Rule};

const LOAD_WORD: u8 = 0x61; // dst = *(u32 *)(src + offset)
const MOVE_REGISTER: u8 = 0xbc; // 32-bit
const MOVE: u8 = 0xb4;
const AND: u8 = 0x54;
const SHIFT_RIGHT: u8 = 0x74;
const JUMP_NOT_EQUAL: u8 = 0x56; // 32-bit
const JUMP_EQUAL: u8 = 0x16;
pub(super) const EXIT: u8 = 0x95;

const CONTEXT: u8 = 1;
const KIND: u8 = 2;
const ACCESS: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;
const SCRATCH: u8 = 6;
const ANSWER: u8 = 0;

fn instruction(code: u8, to: u8, from: u8, offset: i16, immediate: i32) -> Instruction {
    Instruction { code, registers: to | (from << 4), offset, immediate }
}

/// The program for the rules.
pub(super) fn compile(rules: &[Rule]) -> Vec<Instruction> {
    let mut program = vec![
        instruction(LOAD_WORD, ACCESS, CONTEXT, 0, 0),
        instruction(MOVE_REGISTER, KIND, ACCESS, 0, 0),
        instruction(AND, KIND, 0, 0, 0xffff),
        instruction(SHIFT_RIGHT, ACCESS, 0, 0, 16),
        instruction(LOAD_WORD, MAJOR, CONTEXT, 4, 0),
        instruction(LOAD_WORD, MINOR, CONTEXT, 8, 0),
    ];
    for rule in rules.iter().rev() {
        program.extend(block(rule));
        if rule.kind == DeviceKind::All {
            // It matches everything: what comes before it in the list is never asked.
            return program;
        }
    }
    program.extend(answer(false));
    program
}

fn answer(allow: bool) -> [Instruction; 2] {
    [instruction(MOVE, ANSWER, 0, 0, i32::from(allow)), instruction(EXIT, 0, 0, 0, 0)]
}

/// Tests one rule and answers if it matches; jumps behind itself if not.
fn block(rule: &Rule) -> Vec<Instruction> {
    // (register to test, jump that leaves, operand)
    let mut tests = Vec::new();
    match rule.kind {
        DeviceKind::All => return answer(rule.allow).into(),
        DeviceKind::Block => tests.push((KIND, JUMP_NOT_EQUAL, 1)),
        DeviceKind::Character => tests.push((KIND, JUMP_NOT_EQUAL, 2)),
    }
    tests.extend(rule.major.map(|major| (MAJOR, JUMP_NOT_EQUAL, major as i32)));
    tests.extend(rule.minor.map(|minor| (MINOR, JUMP_NOT_EQUAL, minor as i32)));
    let access = bits(rule.access);
    let mut out: Vec<Instruction> = Vec::new();
    if access != 7 {
        // An allowing rule must cover all that is asked; a denying one needs only touch it.
        let (mask, leave) = if rule.allow { (!access & 7, JUMP_NOT_EQUAL) } else { (access, JUMP_EQUAL) };
        out.push(instruction(MOVE_REGISTER, SCRATCH, ACCESS, 0, 0));
        out.push(instruction(AND, SCRATCH, 0, 0, mask));
        tests.push((SCRATCH, leave, 0));
    }
    let count = tests.len();
    for (index, (register, jump, operand)) in tests.into_iter().enumerate() {
        let to_next_rule = (count - 1 - index + 2) as i16;
        out.push(instruction(jump, register, 0, to_next_rule, operand));
    }
    out.extend(answer(rule.allow));
    out
}

/// `BPF_DEVCG_ACC_*`.
fn bits(access: Access) -> i32 {
    i32::from(access.mknod) | i32::from(access.read) << 1 | i32::from(access.write) << 2
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a program as the kernel would, for the operations that `compile` emits.
    fn run(program: &[Instruction], kind: u32, access: u32, major: u32, minor: u32) -> u32 {
        let context = [access << 16 | kind, major, minor];
        let mut registers = [0u32; 8];
        let mut at = 0;
        loop {
            let i = program[at];
            let (to, from) = ((i.registers & 15) as usize, (i.registers >> 4) as usize);
            let operand = i.immediate as u32;
            at += 1;
            let jumps = match i.code {
                LOAD_WORD => {
                    registers[to] = context[i.offset as usize / 4];
                    false
                }
                MOVE_REGISTER => {
                    registers[to] = registers[from];
                    false
                }
                MOVE => {
                    registers[to] = operand;
                    false
                }
                AND => {
                    registers[to] &= operand;
                    false
                }
                SHIFT_RIGHT => {
                    registers[to] >>= operand;
                    false
                }
                JUMP_NOT_EQUAL => registers[to] != operand,
                JUMP_EQUAL => registers[to] == operand,
                EXIT => return registers[0],
                other => panic!("unknown operation {other:#x}"),
            };
            if jumps {
                at += i.offset as usize;
            }
        }
    }

    #[test]
    fn the_last_matching_rule_decides() {
        let read_write = Access { read: true, write: true, mknod: false };
        let all = Access { read: true, write: true, mknod: true };
        let rule = |allow, kind, major, minor, access| Rule { allow, kind, major, minor, access };
        let rules = [
            rule(true, DeviceKind::Block, Some(9), None, all),
            rule(false, DeviceKind::All, None, None, all),
            rule(true, DeviceKind::Character, Some(1), Some(3), read_write),
            rule(true, DeviceKind::Block, Some(8), None, all),
            rule(
                false,
                DeviceKind::Block,
                Some(8),
                Some(1),
                Access { read: false, write: true, mknod: false },
            ),
        ];
        let program = compile(&rules);
        let [mknod, read, write] = [1, 2, 4];
        let cases = [
            ((2, read, 1, 3), 1),
            ((2, read | write, 1, 3), 1),
            ((2, mknod, 1, 3), 0),
            ((2, read | mknod, 1, 3), 0),
            ((1, read, 1, 3), 0),
            ((2, read, 1, 5), 0),
            ((1, read | write | mknod, 8, 0), 1),
            ((1, read, 8, 1), 1),
            ((1, read | write, 8, 1), 0),
            ((1, read, 9, 0), 0),
        ];
        for ((kind, access, major, minor), expected) in cases {
            assert_eq!(
                run(&program, kind, access, major, minor),
                expected,
                "{kind} {access} {major}:{minor}"
            );
        }
    }
}
