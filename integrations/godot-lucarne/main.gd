extends Node3D

@onready var stream: LucarneTexture = $Screen.mesh.material.albedo_texture


func _process(_delta: float) -> void:
	$Screen.rotation.y = 0.6 * sin(0.001 * Time.get_ticks_msec())
	$Says.text = "in:  %s\nout: %s" % [_what(stream), _what($Output)]


func _what(end: Object) -> String:
	var path: String = end.get_memory_path()
	if path.is_empty():
		return "nothing yet"
	return "%s, %d copy a frame" % [path, end.get_copies_per_frame()]
