"""The client alone, from the same sources, without TensorFlow: `pip install ./serving/client`.

It brings `srn-client` and `srn.serving.client`. Not beside the whole project, which has both already.
"""

from setuptools import setup

# What srn-client imports; a test runs it with nothing else.
MODULES = [
    "srn.__init__",
    "srn.command",
    "srn.errors",
    "srn.files",
    "srn.images",
    "srn.inference.__init__",
    "srn.inference.formats.__init__",
    "srn.inference.formats.ifd",
    "srn.inference.formats.image",
    "srn.inference.formats.jpeg",
    "srn.inference.formats.metadata",
    "srn.inference.formats.others",
    "srn.inference.formats.png",
    "srn.inference.formats.tiff",
    "srn.inference.photographs",
    "srn.inference.planning",
    "srn.inference.reading",
    "srn.inference.restoring",
    "srn.inference.tiling",
    "srn.inference.writing",
    "srn.serving.__init__",
    "srn.serving.address",
    "srn.serving.client",
    "srn.serving.command",
    "srn.serving.connection",
    "srn.serving.contract",
    "srn.serving.credentials",
    "srn.serving.grpc_client",
    "srn.serving.messages",
    "srn.serving.remote",
    "srn.serving.rest_client",
]

setup(
    name="srn-deblurnet-client",
    version="0.1.0",
    description="Client of SRN-DeblurNet on TensorFlow Serving: photographs in, sharper photographs out",
    license="Apache-2.0",
    package_dir={"": "../.."},
    packages=[],
    py_modules=MODULES,
    python_requires=">=3.9",
    install_requires=[
        "absl-py",
        "grpcio",
        "numpy",
        "opencv-python-headless",
        "Pillow>=10.1",
        "protobuf>=4.21",
        "requests",
        "tqdm",
    ],
    entry_points={"console_scripts": ["srn-client = srn.serving.command:main"]},
)
