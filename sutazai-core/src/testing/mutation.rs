//! Nearly valid inputs for fuzzing: purely random bytes are rejected at their first character.

/// Maximum number of edits in a script.
const MAX_EDITS: usize = 32;

/// Applies the edits encoded in `script` to one of the seeds: a fuzzer that changes the script changes the edits. The
/// first byte selects the seed; every four bytes after it are an edit, its position (two bytes) and its operand.
///
/// # Panics
/// If there is no seed.
pub fn mutated(seeds: &[&[u8]], script: &[u8]) -> Vec<u8> {
    let (first, edits) = script.split_first().unwrap_or((&0, &[]));
    let mut input = seeds[usize::from(*first) % seeds.len()].to_vec();
    for edit in edits.chunks_exact(4).take(MAX_EDITS) {
        let place = usize::from(u16::from_le_bytes([edit[1], edit[2]])) % (input.len() + 1);
        let operand = edit[3];
        let end = (place + usize::from(operand)).min(input.len());
        match edit[0] % 6 {
            0 => input.insert(place, operand),
            1 => drop(input.drain(place..end)),
            2 if place < input.len() => input[place] = operand,
            // Duplicates a part, which nests and repeats structures.
            3 => {
                let part = input[place..end].to_vec();
                input.splice(place..place, part);
            }
            4 => {
                let other = seeds[usize::from(operand) % seeds.len()];
                input.splice(place..end, other.iter().copied());
            }
            _ => input.truncate(place.max(1)),
        }
    }
    input
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_stay_near_the_seed_and_never_panic() {
        let seeds: [&[u8]; 2] = [b"one", b""];
        assert_eq!(mutated(&seeds, &[]), b"one");
        assert_eq!(mutated(&seeds, &[0, 0, 1, 0, b'x']), b"oxne");
        assert_eq!(mutated(&seeds, &[0, 1, 1, 0, 1]), b"oe");
        assert_eq!(mutated(&seeds, &[0, 2, 2, 0, b'!']), b"on!");
        assert_eq!(mutated(&seeds, &[0, 3, 0, 0, 2]), b"onone");
        bolero::check!().with_iterations(2_000).for_each(|script: &[u8]| {
            mutated(&seeds, script);
        });
    }
}
