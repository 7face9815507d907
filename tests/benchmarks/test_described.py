import msgspec

from edgeproof.benchmarks import described as module
from edgeproof.benchmarks.blocks import Measurement
from edgeproof.benchmarks.described import Looked, described
from edgeproof.benchmarks.timing_pictures import chosen
from edgeproof.runtime import Classifier, ModelError
from edgeproof.runtime.foreign import Foreign


def looked(classifier, **options):
    return Looked(None, chosen([classifier], None), Foreign(), **options)


def test_a_file_says_who_ran_its_operators_and_what_its_activations_take(tiny_model_path, make_block):
    classifier = Classifier(tiny_model_path)
    measurement = Measurement(threads=1, blocks=(make_block(1.0),))
    found = described("tiny", classifier, (measurement,), looked(classifier))
    assert found.execution.delegate == "XNNPACK"
    assert 0 < found.execution.delegated <= found.execution.operators
    assert found.arena_mb > 0
    assert (found.profile, found.backends, found.quality) == (None, (), None)
    assert msgspec.json.decode(msgspec.json.encode(found), type=type(found)) == found


def test_operators_that_do_not_run_alone_leave_the_profile_out_and_say_so(tiny_model_path, monkeypatch, caplog):
    def refuse(question):
        raise ModelError("operator 3 cannot")

    monkeypatch.setattr(module.profiling, "profile", refuse)
    classifier = Classifier(tiny_model_path)
    assert described("tiny", classifier, (), looked(classifier, profile=True)).profile is None
    assert "operator 3 cannot" in caplog.text
