//! obs-websocket: as much of RFC 6455 and of its protocol (version 5) as one client on one machine needs.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

/// Longer than any answer takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A port that nobody has at the moment.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("an address").port()
}

/// A connection to OBS.
pub(crate) struct Remote(TcpStream);

impl Remote {
    /// `None` while nobody listens.
    pub(crate) fn connect(port: u16) -> Option<Self> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let request = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n";
        stream.write_all(request.as_bytes()).expect("sent");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("an answer");
            head.extend(byte);
        }
        assert!(
            head.starts_with(b"HTTP/1.1 101"),
            "{}",
            String::from_utf8_lossy(&head)
        );
        let mut remote = Self(stream);
        let hello = remote.receive();
        assert!(hello.contains(r#""op":0"#), "{hello}");
        remote.send(r#"{"op": 1, "d": {"rpcVersion": 1, "eventSubscriptions": 0}}"#);
        let identified = remote.receive();
        assert!(identified.contains(r#""op":2"#), "{identified}");
        Some(remote)
    }

    /// The answer to a request, as text.
    pub(crate) fn answer(&mut self, request: &str, data: &str) -> String {
        self.send(&format!(
            r#"{{"op": 6, "d": {{"requestType": "{request}", "requestId": "1", "requestData": {data}}}}}"#
        ));
        self.receive()
    }

    /// Whether OBS did so.
    pub(crate) fn ask(&mut self, request: &str, data: &str) -> bool {
        self.answer(request, data).contains(r#""result":true"#)
    }

    /// One frame of text. A mask of zeros changes nothing; blanks make short texts long enough for this form of length.
    fn send(&mut self, text: &str) {
        let text = format!("{text:<126}");
        let length = u16::try_from(text.len()).expect("a short text");
        let [high, low] = length.to_be_bytes();
        let head = [0x81, 0x80 | 126, high, low, 0, 0, 0, 0];
        let frame = [&head[..], text.as_bytes()].concat();
        self.0.write_all(&frame).expect("sent");
    }

    fn receive(&mut self) -> String {
        let [kind, short] = self.bytes();
        assert_eq!(kind, 0x81, "one frame of text");
        let length = match short {
            126 => u64::from(u16::from_be_bytes(self.bytes())),
            127 => u64::from_be_bytes(self.bytes()),
            short => u64::from(short),
        };
        let mut text = Vec::new();
        let read = (&self.0).take(length).read_to_end(&mut text);
        assert_eq!(read.expect("read") as u64, length);
        String::from_utf8(text).expect("UTF-8")
    }

    fn bytes<const COUNT: usize>(&mut self) -> [u8; COUNT] {
        let mut bytes = [0; COUNT];
        self.0.read_exact(&mut bytes).expect("read");
        bytes
    }
}
