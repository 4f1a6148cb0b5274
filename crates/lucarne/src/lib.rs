//! lucarne
