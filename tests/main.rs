//! Black-box tests: the built `weir` is started and spoken to from outside, one module per capability.
