"""Each error is an exception of its own, with a code, a name and a text that says what would do."""

import logging

import numpy as np
import pytest

import lucarne
from conftest import LONG
from lucarne._errors import error_class
from lucarne._library import ffi, lib


def test_every_status_has_an_exception():
    names = {name: getattr(lib, name) for name in dir(lib) if name.startswith("LUCARNE_STATUS_")}
    assert len(names) == 18
    for name, status in names.items():
        found = error_class(status).__name__
        expected = name[len("LUCARNE_STATUS_") :].replace("_", "").lower()
        known = {"ok": "error", "other": "error", "os": "kernelerror", "driver": "drivererror", "panic": "panic"}
        assert found.lower() == known.get(expected, expected), name
    assert error_class(1000) is lucarne.Error


@pytest.mark.parametrize(
    "theirs, ours",
    [(TimeoutError, lucarne.Timeout), (LookupError, lucarne.NotFound), (EOFError, lucarne.Ended), (ConnectionError, lucarne.PeerGone)],
)
def test_errors_are_pythons_too(theirs, ours):
    error = ours("text", code=3, name="a name")
    assert isinstance(error, theirs) and isinstance(error, lucarne.Error)
    assert (str(error), error.code, error.name, error.reasons) == ("text", 3, "a name", ())


def test_a_stream_that_is_not_there(folder):
    with pytest.raises(lucarne.NotFound, match="nobody") as caught:
        lucarne.Consumer("nobody", folder=folder, timeout=0.01)
    assert caught.value.code == lib.LUCARNE_STATUS_NOT_FOUND and caught.value.name == "not found"
    assert lucarne.streams(folder) == []


def test_a_name_that_is_taken(ends, folder):
    with pytest.raises(lucarne.InUse, match="ends"):
        lucarne.Producer("ends", 64, 48, folder=folder)


def test_nothing_waits_for_ever(ends):
    with ends.pass_on(lambda slot: None):
        pass
    for seconds in (0, 0.05):
        with pytest.raises(lucarne.Timeout, match="a frame of ends did not come"):
            ends.consumer.receive(seconds)
    slots = [ends.slot() for _ in range(3)]
    with pytest.raises(lucarne.Timeout, match="a free slot of ends did not come"):
        ends.producer.acquire(0.05)
    for slot in slots:
        slot.discard()
    for wrong in (-1, float("inf"), float("nan"), 1e10):
        with pytest.raises(lucarne.InvalidArgument, match="timeout is"):
            ends.consumer.receive(wrong)


@pytest.mark.parametrize(
    "picture, message",
    [
        (np.zeros((48, 64, 4), np.float32), "picture.dtype is float32, but must be uint8"),
        (np.zeros((64, 48, 4), np.uint8), r"picture.shape is \(64, 48, 4\), but must be \(48, 64, 4\)"),
        (np.zeros((48, 64, 3), np.uint8), r"picture.shape is \(48, 64, 3\)"),
        (np.zeros((48, 64), np.uint8), r"picture.shape is \(48, 64\)"),
        (np.zeros((48, 64, 4), ">u2"), "picture.dtype is >u2"),
    ],
)
def test_wrong_arrays(ends, picture, message):
    with ends.pass_on(lambda slot: slot.array.fill(7)) as frame:
        assert (frame.array == 7).all()
    slot = ends.slot()
    with pytest.raises(lucarne.InvalidArgument, match=message):
        slot.write(picture)
    slot.discard()
    with pytest.raises(lucarne.InvalidArgument, match=message):
        ends.producer.send(picture, timeout=LONG)
    # Nothing of it was sent, and the slots are all there.
    assert ends.producer.sequence == 1
    for slot in [ends.slot() for _ in range(3)]:
        slot.discard()


def test_what_is_no_array(ends):
    slot = ends.slot()
    with pytest.raises(TypeError, match="picture is list, but must be a numpy array"):
        slot.write([[1, 2], [3, 4]])
    with pytest.raises(TypeError, match="picture is bytes"):
        slot.write_rgb(b"abc")
    with pytest.raises(lucarne.InvalidArgument, match="2 arrays were given, but XBGR8888 has 1 planes"):
        slot.write(np.zeros(1), np.zeros(1))
    with pytest.raises(lucarne.InvalidArgument, match=r"picture.shape is \(1, 2, 3\), but must be \(48, 64, 3\)"):
        slot.write_rgb(np.zeros((1, 2, 3), np.uint8))
    slot.discard()


def test_planes_are_named(open_ends):
    with open_ends(formats=["NV12"]) as ends:
        slot = ends.slot()
        good = np.zeros((48, 64), np.uint8)
        with pytest.raises(lucarne.InvalidArgument, match=r"planes\[1\].shape is \(48, 64\), but must be \(24, 32, 2\)"):
            slot.write(good, good)
        with pytest.raises(lucarne.InvalidArgument, match="NV12"):
            slot.write_rgb(np.zeros((48, 64, 3), np.uint8))
        slot.discard()


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(name="a/b"), "a/b"),
        (dict(name="a\0b"), "NUL"),
        (dict(width=0), "extent"),
        (dict(slots=1), "slots"),
        (dict(formats=["nonsense"]), "nonsense"),
        (dict(formats=[1]), "format is"),
        (dict(paths=["air"]), "paths has 'air', but must be made of dma-buf"),
        (dict(allocator="magic"), "allocator is 'magic'"),
        (dict(patience=-1), "patience is -1"),
    ],
)
def test_bad_arguments(folder, arguments, message):
    given = {"name": "bad", "width": 64, "height": 48, "folder": folder, **arguments}
    with pytest.raises(ValueError, match=message):
        lucarne.Producer(**given)
    assert lucarne.streams(folder) == []


def test_bad_arguments_of_a_consumer(folder):
    with pytest.raises(lucarne.InvalidArgument, match="delivery is 'some', but must be one of latest, every"):
        lucarne.Consumer("x", folder=folder, delivery="some")
    with pytest.raises(TypeError, match="name is int"):
        lucarne.Consumer(5, folder=folder)


def test_bad_damage(ends):
    slot = ends.slot()
    for damage in ([(1, 2, 3)], [(-1, 0, 1, 1)], [(0, 0, 1 << 32, 1)]):
        with pytest.raises(lucarne.InvalidArgument, match="damage has"):
            slot.publish(damage=damage)
    slot.discard()


def test_a_refusal_has_its_reasons(folder):
    # Opaque memory: no CPU makes any.
    from lucarne._frames import PATHS

    assert "opaque-fd" in PATHS.values()
    producer = lucarne.Producer("refused", 64, 48, folder=folder, paths=["opaque-fd"])
    consumer = lucarne.Consumer("refused", folder=folder, timeout=LONG)
    with pytest.raises(lucarne.Refused) as caught:
        while True:
            producer.dispatch()
            consumer.try_receive()
    assert "opaque" in str(caught.value)
    consumer.close()
    producer.end()


def test_an_error_carries_reasons():
    from lucarne._library import call, make

    offers = []
    for _ in range(2):
        device = make("lucarne_device", lib.lucarne_device_free, lib.lucarne_cpu_device_open, lib.LUCARNE_ALLOCATOR_HOST_MEMORY)
        offers.append(make("lucarne_offer", lib.lucarne_offer_free, lib.lucarne_device_offer, device, lib.LUCARNE_USAGE_SAMPLE))
    request = make("lucarne_request", lib.lucarne_request_free, lib.lucarne_request_new, 64, 48)
    call(lib.lucarne_request_set_paths, request, [lib.LUCARNE_PATH_OPAQUE_FD], 1)
    with pytest.raises(lucarne.Refused) as caught:
        make("lucarne_agreement", lib.lucarne_agreement_free, lib.lucarne_negotiate, *offers, request)
    reasons = caught.value.reasons
    assert {reason.rung for reason in reasons} >= {3} and all(reason.text for reason in reasons)
    assert any(reason.side == "producer" for reason in reasons)


def test_the_log(caplog):
    """The library has nothing to say of the CPU; so its way into Python's log is called as the library calls it."""
    lucarne.log_to(logging.getLogger("lucarne"))
    caplog.set_level(logging.DEBUG, "lucarne")
    for level, text in [(lib.LUCARNE_LOG_ERROR, "an error %s"), (lib.LUCARNE_LOG_TRACE, "ü"), (77, "later")]:
        lucarne._log._kept[-1](level, ffi.new("char[]", text.encode()), ffi.NULL)
    lucarne.log_to(None)
    told = [(record.levelno, record.message) for record in caplog.records if record.name == "lucarne"]
    assert told == [(logging.ERROR, "an error %s"), (logging.DEBUG, "ü"), (logging.DEBUG, "later")]
