//! Everything that is seen from outside: the binary, the examples, the whole journey, and the house rules.

mod tidy;
