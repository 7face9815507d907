"""A trained model's backbone, written as the weights that the next training starts from."""

import numpy as np

from edgeproof.train import backbone, config, network

SMALL = config.Network(alpha=0.35, size=32, weights="none", dense=8)


def test_the_written_backbone_is_what_another_network_starts_from(tmp_path, capsys):
    trained = network.build(SMALL, classes=3)
    trained.save(tmp_path / "model.keras")
    backbone.main([str(tmp_path / "model.keras"), str(tmp_path / "backbone.npz")])
    assert "backbone.npz" in capsys.readouterr().out
    settings = config.Network(alpha=0.35, size=64, weights=str(tmp_path / "backbone.npz"), dense=16)
    started = network.build(settings, classes=5)
    before = backbone.backbone(trained).get_weights()
    after = backbone.backbone(started).get_weights()
    assert len(before) == len(after) > 200
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old.astype(np.float16), new.astype(np.float16))


def test_the_backbone_has_no_head():
    names = [layer.name for layer in backbone.backbone(network.build(SMALL, classes=3)).layers]
    assert names[-1] == "out_relu"
    assert not {"features", "head", "probabilities"} & set(names)
