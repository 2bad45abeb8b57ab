"""The one part of the build that pyproject.toml cannot say: the optional compiled kernel.

Without a compiler the installation goes on without it (`optional`), and the NumPy kernel runs.
"""

import sys

from setuptools import Extension, setup

WINDOWS = sys.platform == "win32"

setup(
    ext_modules=[
        Extension(
            "decoders._kernel",
            sources=[
                "decoders/_kernel.c",
                "decoders/_kernel_order.c",
                "decoders/_kernel_fill.c",
            ],
            depends=["decoders/_kernel.h"],
            # Never let the compiler fuse a product and a sum: that changes the last bit.
            extra_compile_args=[] if WINDOWS else ["-O3", "-ffp-contract=off", "-std=gnu11"],
            py_limited_api=True,
            optional=True,
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
