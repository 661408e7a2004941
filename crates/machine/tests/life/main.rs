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

    #[test]
    fn an_amended_life_keeps_the_laws_and_comes_to_its_end(
        plan in plans::plan(),
        wild in proptest::collection::vec((proptest::collection::vec(any::<u32>(), 0..60), any::<u32>()), 1..5),
    ) {
        let mut life = Life::new(plan);
        for (wild, amendment) in wild {
            life.live(&wild);
            life.amend(amendment as usize);
        }
        life.come_to_the_end();
        laws::at_the_end(&life);
    }

    #[test]
    fn sittings_with_any_limits_come_to_the_same_end_as_one_without(
        plan in plans::plan(),
        sittings in proptest::collection::vec(any::<u32>(), 0..6),
    ) {
        let mut calm = Life::new(plan.clone());
        calm.come_to_the_end();
        let mut life = Life::new(plan);
        for pick in sittings {
            let pick = pick as usize;
            if life.run.verdict().is_some() {
                break;
            }
            if pick.is_multiple_of(3) {
                life.postpone(pick / 3);
            } else {
                life.take_limited(pick / 3);
            }
            life.sit_kindly();
        }
        life.come_to_the_end();
        laws::at_the_end(&life);
        for (position, state) in calm.run.positions() {
            assert_eq!(life.run.state(&position).word(), state.word(), "{position}");
        }
    }
}
