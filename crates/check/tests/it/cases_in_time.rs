//! What is wrong because of the hour at which something is predicted to happen, and its good neighbours.

use crate::cases::{Case, case};

pub const CASES_IN_TIME: &[Case] = &[
    case(
        "calendar",
        "too early",
        "host a\nnot_before 2025-06-02T12:01Z\nroll up a\n  run x\n",
        "host a\nnot_before 2025-06-02T12:00Z\nroll up a\n  run x\n",
    ),
    case(
        "calendar",
        "over too late",
        "host a\nnot_after 2025-06-02T12:09Z\nroll up a\n  run x @expected=10m\n",
        "host a\nnot_after 2025-06-02T12:10Z\nroll up a\n  run x @expected=10m\n",
    ),
    case(
        "calendar",
        "into a freeze",
        "host a\nfreeze 2025-06-02T12:05Z 2025-06-02T13:00Z\nroll up a\n  run x @expected=10m\n",
        "host a\nfreeze 2025-06-02T11:05Z 2025-06-02T12:00Z\nroll up a\n  run x @expected=10m\n",
    ),
    case(
        "prework-stale",
        "the last host waits too long",
        "host a\nhost b\nprework 1h\nroll pre a,b 2\n  run p @stage=prepare\nroll up a|b\n  run x @expected=2h\n",
        "host a\nhost b\nprework 2h\nroll pre a,b 2\n  run p @stage=prepare\nroll up a|b\n  run x @expected=2h\n",
    ),
];
