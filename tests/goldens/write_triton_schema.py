"""Writes triton_model_config.binpb: the schema of Triton's config.pbtxt, as tritonclient has it.

    python3.11 -m venv /tmp/triton-venv
    /tmp/triton-venv/bin/pip install "tritonclient[grpc]==2.73.0"
    /tmp/triton-venv/bin/python tests/goldens/write_triton_schema.py

The package (BSD 3-clause, NVIDIA CORPORATION & AFFILIATES) wants protobuf below 7 and an older
ml-dtypes than TensorFlow here, so it cannot be installed beside requirements.txt. Its schema is
self-contained: a FileDescriptorProto of 9 kB, which any protobuf reads.
"""

import pathlib

from tritonclient.grpc import model_config_pb2

OUTPUT = pathlib.Path(__file__).with_name("triton_model_config.binpb")


def main():
    OUTPUT.write_bytes(model_config_pb2.DESCRIPTOR.serialized_pb)


if __name__ == "__main__":
    main()
