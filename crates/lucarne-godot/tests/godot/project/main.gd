# Does what the test says on standard input, a command a line; answers each with a line that begins with "=", and tells signals in
# lines that begin with "!".
extends Control

var listener := Thread.new()


func _ready() -> void:
	screen().arrived.connect(func(): print("! arrived"))
	screen().lost.connect(func(reason): print("! lost ", reason))
	screen().resized.connect(func(size): print("! resized ", size.x, " ", size.y))
	$Output.joined.connect(func(name): print("! joined ", name))
	$Output.left.connect(func(_reason): print("! left"))
	listener.start(_listen)
	print("= ready")


func screen() -> LucarneTexture:
	return $Screen.texture


func _listen() -> void:
	while true:
		var line := OS.read_string_from_stdin(1024).strip_edges()
		_do.call_deferred(line.split(" "))
		if line == "quit" or line.is_empty():
			return


func _do(words: PackedStringArray) -> void:
	match words[0]:
		"show":
			screen().trust_producer = words.size() > 2
			screen().stream = words[1]
			print("= ok")
		"publish":
			$Output.stream = words[1]
			print("= ok")
		"paint":
			_paint(int(words[1]), Vector2i(int(words[2]), int(words[3])))
			print("= ok")
		"facts":
			print("= ", JSON.stringify(_facts()))
		"shot":
			await RenderingServer.frame_post_draw
			await RenderingServer.frame_post_draw
			var image := get_viewport().get_texture().get_image()
			image.convert(Image.FORMAT_RGBA8)
			var file := FileAccess.open(words[1], FileAccess.WRITE)
			file.store_buffer(image.get_data())
			file.close()
			print("= ", image.get_width(), " ", image.get_height())
		_:
			listener.wait_to_finish()
			get_tree().quit()


func _facts() -> Dictionary:
	return {
		"engine": Engine.get_version_info()["string"],
		"driver": RenderingServer.get_video_adapter_name(),
		"in": _facts_of(screen()),
		"out": _facts_of($Output),
		"size": [screen().get_width(), screen().get_height()],
	}


func _facts_of(end: Object) -> Dictionary:
	return {
		"frames": end.get_frame_count(),
		"path": end.get_memory_path(),
		"fences": end.get_fences(),
		"copies": end.get_copies_per_frame(),
		"reason": end.get_reason(),
	}


# The same pixels as the test's `pattern`.
func _paint(seed_: int, size_: Vector2i) -> void:
	var bytes := PackedByteArray()
	bytes.resize(size_.x * size_.y * 4)
	var at := 0
	for y in size_.y:
		for x in size_.x:
			bytes[at] = (x * 7 + y * 31 + seed_ * 53 + 1) % 251
			bytes[at + 1] = (x * 3 + y * 5 + seed_ * 11) % 251
			bytes[at + 2] = (x * 13 + y * 17 + seed_ * 29) % 251
			bytes[at + 3] = 255
			at += 4
	var image := Image.create_from_data(size_.x, size_.y, false, Image.FORMAT_RGBA8, bytes)
	$Source.size = size_
	$Source/Painting.texture = ImageTexture.create_from_image(image)
