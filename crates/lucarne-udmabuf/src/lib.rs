//! lucarne-udmabuf
