//! Journal and inbox on SQLite.
