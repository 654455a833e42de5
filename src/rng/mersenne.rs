//! The Mersenne twister MT19937 of Matsumoto and Nishimura (ACM TOMACS 8, 1998), with its state open to snapshots.

/// The number of words of state.
const WORDS: usize = 624;
/// Distance to the second word that makes a new one.
const MIDDLE: usize = 397;

/// The engine: 624 words, and how many of them have been given out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mersenne {
    words: [u32; WORDS],
    position: usize,
}

impl Mersenne {
    /// The engine as `init_genrand` of the paper's reference implementation seeds it.
    pub(super) fn new(seed: u32) -> Self {
        let mut words = [seed; WORDS];
        for index in 1..WORDS {
            let previous = words[index - 1];
            words[index] = (previous ^ (previous >> 30)).wrapping_mul(1_812_433_253).wrapping_add(index as u32);
        }
        Mersenne { words, position: WORDS }
    }

    /// The next word, tempered.
    pub(super) fn next(&mut self) -> u32 {
        if self.position == WORDS {
            self.twist();
        }
        let mut word = self.words[self.position];
        self.position += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }

    /// Replaces all words by the next 624 of the recurrence.
    fn twist(&mut self) {
        for index in 0..WORDS {
            let mixed = (self.words[index] & 0x8000_0000) | (self.words[(index + 1) % WORDS] & 0x7fff_ffff);
            let odd = if mixed & 1 == 1 { 0x9908_b0df } else { 0 };
            self.words[index] = self.words[(index + MIDDLE) % WORDS] ^ (mixed >> 1) ^ odd;
        }
        self.position = 0;
    }

    /// Puts the whole state into `state`: the words, then the position.
    pub(super) fn state_into(&self, state: &mut Vec<u32>) {
        state.clear();
        state.extend_from_slice(&self.words);
        state.push(self.position as u32);
    }

    /// The engine in this state; `None` when the numbers cannot be one.
    pub(super) fn from_state(state: &[u32]) -> Option<Self> {
        let (&position, words) = state.split_last()?;
        let words = <[u32; WORDS]>::try_from(words).ok()?;
        let position = position as usize;
        (position <= WORDS).then_some(Mersenne { words, position })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The C++ standard (26.6.5) asks this of `mt19937` with its default seed.
    #[test]
    fn the_ten_thousandth_word_is_the_standards() {
        let mut engine = Mersenne::new(5489);
        let last = (0..10_000).map(|_| engine.next()).last();
        assert_eq!(last, Some(4_123_659_995));
    }
}
