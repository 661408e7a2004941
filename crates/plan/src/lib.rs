//! The compiler: definition, fleet and facts in, plan and the reason of each step out.
