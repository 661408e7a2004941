//! Reads fleets and definitions: text in, values and all errors of a file out.
