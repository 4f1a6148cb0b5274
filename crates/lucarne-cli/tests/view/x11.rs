//! An X server of the test's own: what it shows, and keys.

use x11rb::connection::{Connection, RequestConnection};
use x11rb::protocol::xproto::{
    AtomEnum, ClientMessageEvent, ConfigureWindowAux, ConnectionExt as _, EventMask, ImageFormat,
    InputFocus, KEY_PRESS_EVENT, KEY_RELEASE_EVENT, MOTION_NOTIFY_EVENT, Window,
};
use x11rb::protocol::xtest::ConnectionExt as _;
use x11rb::rust_connection::RustConnection;

use lucarne_tests::display::{Running, Xvfb, until};

/// What a screen shows.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Shot {
    pub(crate) width: u32,
    /// Red, green and blue.
    pub(crate) pixels: Vec<[u8; 3]>,
}

impl Shot {
    pub(crate) fn at(&self, x: u32, y: u32) -> [u8; 3] {
        self.pixels[(y * self.width + x) as usize]
    }
}

/// An X server, and a connection to it.
pub(crate) struct X11 {
    connection: RustConnection,
    root: Window,
    size: [u16; 2],
    pub(crate) server: Running,
    pub(crate) name: String,
}

impl X11 {
    pub(crate) fn start(width: u16, height: u16) -> Option<Self> {
        let Xvfb { name, server } = Xvfb::start(width.into(), height.into(), None)?;
        let (connection, screen) = x11rb::connect(Some(&name)).expect("an X server");
        let root = connection.setup().roots[screen].root;
        Some(Self {
            connection,
            root,
            size: [width, height],
            server,
            name,
        })
    }

    /// The window whose title contains this.
    pub(crate) fn window(&self, title: &str) -> Window {
        until("a window", || {
            let tree = self.connection.query_tree(self.root).ok()?.reply().ok()?;
            tree.children.into_iter().find(|window| {
                let is_shown = self.title(*window).is_some_and(|text| text.contains(title));
                is_shown && self.is_mapped(*window)
            })
        })
    }

    fn is_mapped(&self, window: Window) -> bool {
        let asked = self.connection.get_window_attributes(window).expect("sent");
        asked
            .reply()
            .is_ok_and(|found| found.map_state == x11rb::protocol::xproto::MapState::VIEWABLE)
    }

    /// The title: the old property, or the new one where that is missing.
    fn title(&self, window: Window) -> Option<String> {
        let newer = self.connection.intern_atom(false, b"_NET_WM_NAME").ok()?;
        let names = [AtomEnum::WM_NAME.into(), newer.reply().ok()?.atom];
        names.into_iter().find_map(|name| {
            let kind = AtomEnum::ANY;
            let asked = self
                .connection
                .get_property(false, window, name, kind, 0, 100);
            let text = String::from_utf8(asked.ok()?.reply().ok()?.value).ok()?;
            (!text.is_empty()).then_some(text)
        })
    }

    /// Presses a key and lets it go, in a window.
    pub(crate) fn press(&self, window: Window, keysym: u32) {
        self.press_with(window, &[], keysym);
    }

    /// Presses a key while others are held, in a window.
    pub(crate) fn press_with(&self, window: Window, held: &[u32], keysym: u32) {
        let focus = self
            .connection
            .set_input_focus(InputFocus::PARENT, window, 0_u32);
        focus.expect("sent").check().expect("a window");
        let down = held.iter().chain([&keysym]);
        for key in down.clone() {
            self.fake(KEY_PRESS_EVENT, *key);
        }
        for key in down.rev() {
            self.fake(KEY_RELEASE_EVENT, *key);
        }
    }

    fn fake(&self, kind: u8, keysym: u32) {
        let (keyboard, code) = (&self.connection, self.code(keysym));
        let sent = keyboard.xtest_fake_input(kind, code, 0, self.root, 0, 0, 0);
        sent.expect("sent").check().expect("XTest");
    }

    /// Moves the pointer to the screen's lower right corner, where hardly anything of it is seen.
    pub(crate) fn hide_pointer(&self) {
        let [x, y] = self.size.map(|side| side.cast_signed() - 1);
        self.point(x, y);
    }

    fn point(&self, x: i16, y: i16) {
        let pointer = &self.connection;
        let sent = pointer.xtest_fake_input(MOTION_NOTIFY_EVENT, 0, 0, self.root, x, y, 0);
        sent.expect("sent").check().expect("XTest");
    }

    fn code(&self, keysym: u32) -> u8 {
        let setup = self.connection.setup();
        let (first, count) = (setup.min_keycode, setup.max_keycode - setup.min_keycode + 1);
        let asked = self
            .connection
            .get_keyboard_mapping(first, count)
            .expect("sent");
        let keys = asked.reply().expect("a keyboard");
        let mut codes = (first..).zip(keys.keysyms.chunks(keys.keysyms_per_keycode.into()));
        let found = codes.find(|(_, symbols)| symbols[0] == keysym);
        found.expect("a key for it").0
    }

    pub(crate) fn resize(&self, window: Window, width: u32, height: u32) {
        let wanted = ConfigureWindowAux::new().width(width).height(height);
        let sent = self.connection.configure_window(window, &wanted);
        sent.expect("sent").check().expect("a window");
    }

    /// Asks a window to close, as its frame's button does.
    pub(crate) fn close(&self, window: Window) {
        let atom = |name: &[u8]| {
            let asked = self.connection.intern_atom(false, name).expect("sent");
            asked.reply().expect("an atom").atom
        };
        let data = [atom(b"WM_DELETE_WINDOW"), 0, 0, 0, 0];
        let message = ClientMessageEvent::new(32, window, atom(b"WM_PROTOCOLS"), data);
        let sent = self
            .connection
            .send_event(false, window, EventMask::NO_EVENT, message);
        sent.expect("sent").check().expect("a window");
    }

    /// The upper left part of the screen.
    pub(crate) fn shot(&self, width: u32, height: u32) -> Shot {
        let [most_wide, most_high] = self.size;
        let clamp = |side: u32, most: u16| u16::try_from(side).unwrap_or(u16::MAX).min(most);
        let (width, height) = (clamp(width, most_wide), clamp(height, most_high));
        let format = ImageFormat::Z_PIXMAP;
        let asked = self
            .connection
            .get_image(format, self.root, 0, 0, width, height, !0);
        let image = asked.expect("sent").reply().expect("a picture");
        let pixels = image.data.chunks_exact(4).map(|p| [p[2], p[1], p[0]]);
        Shot {
            width: width.into(),
            pixels: pixels.collect(),
        }
    }

    /// Whether requests can be as long as the tests need them; also tells that the server lives.
    pub(crate) fn is_alive(&self) -> bool {
        self.connection.maximum_request_bytes() > 0
            && self
                .connection
                .get_input_focus()
                .is_ok_and(|asked| asked.reply().is_ok())
    }
}
