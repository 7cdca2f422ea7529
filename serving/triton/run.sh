#!/bin/sh
# Serves an exported version by Triton without a container; PyPI's nvidia-pytriton carries the server:
#   /usr/bin/python3.11 -m venv triton && triton/bin/pip install nvidia-pytriton==0.7.0 tensorflow-cpu==2.15.1
#   serving/triton/run.sh triton served/srn/1 [options of tritonserver]
# HTTP on 8000, gRPC on 8001, metrics on 8002. The Python must be one with its library (libpython3.11.so.1.0), as
# a distribution's own is.
set -eu

ENVIRONMENT=$(cd "${1:?give the folder of the environment with nvidia-pytriton}" && pwd)
VERSION=$(cd "${2:?give the folder of an exported version, such as served/srn/1}" && pwd)
shift 2
if [ ! -f "$VERSION/saved_model.pb" ]; then
    echo "$0: $VERSION: no exported version (it has no saved_model.pb)" >&2
    exit 2
fi
PACKAGES=$("$ENVIRONMENT/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
PYTHON=$("$ENVIRONMENT/bin/python" -c 'import sysconfig; print(sysconfig.get_python_version())')
SERVER=$PACKAGES/pytriton/tritonserver
if [ ! -x "$SERVER/bin/tritonserver" ]; then
    echo "$0: $ENVIRONMENT: has no nvidia-pytriton; pip install it there" >&2
    exit 2
fi
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
trap 'kill "$TRITON"; wait "$TRITON"' INT TERM

# The backend looks for its program, of which there is one for each Python, beside itself.
mkdir "$WORK/backends"
cp -r "$SERVER/backends/python" "$WORK/backends/python"
cp "$SERVER/python_backend_stubs/$PYTHON/triton_python_backend_stub" "$WORK/backends/python"
cp -r "$(dirname "$0")" "$WORK/models"
ln -s "$VERSION" "$WORK/models/srn/1/model.savedmodel"

PATH=$ENVIRONMENT/bin:$PATH PYTHONPATH=$PACKAGES \
    LD_LIBRARY_PATH=$PACKAGES/nvidia_pytriton.libs${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} \
    "$SERVER/bin/tritonserver" --model-repository="$WORK/models" --backend-directory="$WORK/backends" "$@" &
TRITON=$!
wait "$TRITON"
