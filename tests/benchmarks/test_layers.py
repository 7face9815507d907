import pytest

from edgeproof.benchmarks.layers import layer


@pytest.mark.parametrize(
    ("tensor", "name"),
    [
        ("net_1/Conv1_relu_1/Relu6;net_1/bn_Conv1_1/batchnorm/add_1;net_1/Conv1_1/convolution;net_1/bn_1/sub", "Conv1"),
        ("net_1/block_2_add_1/Add", "block_2_add"),
        ("net/block_2_depthwise_1/depthwise;net/x/batchnorm/mul", "block_2_depthwise_1"),
        ("head_1/MatMul", "head_1"),
        ("Identity", ""),
        ("StatefulPartitionedCall:0", ""),
    ],
)
def test_a_layer_is_found_in_the_scopes_of_a_tensor_s_name(tensor, name):
    assert layer(tensor) == name
