//! Chance from a seed that is printed first, so that a schedule can be repeated with `CURFEW_TEST_SEED`.

/// A small generator (SplitMix64); good enough to choose victims and times.
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// The seed of the environment, else a new one; says which, with the story's name.
    #[must_use]
    pub fn of_this_run(story: &str) -> Self {
        let given = std::env::var("CURFEW_TEST_SEED").ok().and_then(|it| it.parse().ok());
        let seed = given.unwrap_or_else(|| crate::clock::now_us() ^ (u64::from(std::process::id()) << 32));
        println!("{story}: seed {seed} (repeat with CURFEW_TEST_SEED={seed})");
        Self(seed)
    }

    /// A generator that repeats itself.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        Self(seed)
    }

    /// A generator of its own for a part of the story; this one does not move.
    #[must_use]
    pub fn branch(&self, number: u64) -> Self {
        Self(Self(self.0 ^ (number + 1).wrapping_mul(0xd134_2543_de82_ef95)).bits())
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`, which is at least 1.
    pub fn below(&mut self, n: u64) -> u64 {
        self.bits() % n
    }

    /// True `percent` times in a hundred.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of them.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        let at = self.below(from.len() as u64);
        &from[usize::try_from(at).expect("an index of a slice")]
    }
}
