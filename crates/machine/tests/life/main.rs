//! Random plans live random lives, and the laws hold at every moment of them.

#[cfg(test)]
mod driver;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod plans;

use driver::Life;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_random_life_keeps_the_laws_and_comes_to_its_end(
        plan in plans::plan(),
        wild in proptest::collection::vec(any::<u32>(), 0..250),
        abort in any::<bool>(),
    ) {
        let mut life = Life::new(plan);
        life.live(&wild);
        if abort {
            life.abort();
        }
        life.come_to_the_end();
        laws::at_the_end(&life);
    }
}
