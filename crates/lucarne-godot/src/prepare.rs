//! A new picture, before anything is copied into it.

use godot::builtin::{Rect2, Rid, Vector2};
use godot::classes::RenderingServer;
use godot::classes::rendering_server::ViewportUpdateMode;
use godot::obj::Singleton;

use crate::ffi::Picture;
use crate::gpu;

/// A picture that Godot draws once, out of sight: its contents are uploaded, and it is brought into the layout that it keeps, before
/// the first drawing with it and no sooner.
pub(crate) struct Prepared {
    pub(crate) picture: Picture,
    /// The rendering server's texture of it.
    pub(crate) view: Rid,
    /// Viewport, canvas and item that draw it.
    scene: [Rid; 3],
    since: u64,
}

impl Prepared {
    pub(crate) fn new(picture: Picture) -> Self {
        let mut server = RenderingServer::singleton();
        let view = server.texture_rd_create(picture.rid());
        let (viewport, canvas) = (server.viewport_create(), server.canvas_create());
        let item = server.canvas_item_create();
        server.viewport_set_size(viewport, 2, 2);
        server.viewport_set_active(viewport, true);
        server.viewport_set_update_mode(viewport, ViewportUpdateMode::ALWAYS);
        server.viewport_attach_canvas(viewport, canvas);
        server.canvas_item_set_parent(item, canvas);
        let all = Rect2::new(Vector2::ZERO, Vector2::new(2.0, 2.0));
        server.canvas_item_add_texture_rect(item, all, view);
        Self {
            picture,
            view,
            scene: [item, canvas, viewport],
            since: gpu::drawn(),
        }
    }

    /// Whether Godot has drawn it: with the second frame from now surely.
    pub(crate) fn is_drawn(&self) -> bool {
        gpu::drawn() >= self.since + 2
    }

    /// The picture; its view belongs to somebody else now.
    pub(crate) fn finish(self) -> Picture {
        let mut server = RenderingServer::singleton();
        self.scene.iter().for_each(|rid| server.free_rid(*rid));
        self.picture
    }

    /// The picture is not wanted any more.
    pub(crate) fn cancel(self) {
        RenderingServer::singleton().free_rid(self.view);
        drop(self.finish());
    }
}
