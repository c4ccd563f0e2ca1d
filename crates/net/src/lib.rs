//! Container networking
