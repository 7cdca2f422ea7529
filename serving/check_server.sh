#!/bin/sh
# Starts the real server by Docker on an exported model and checks it from outside:
#   serving/check_server.sh served/srn PHOTOGRAPH.jpg
set -eu

FOLDER=$(cd "${1:?give the folder that --export_dir named}" && pwd)
PHOTOGRAPH=${2:?give a photograph}
NAME=$(sed -n 's/^ *name: "\(.*\)"$/\1/p' "$FOLDER/models.config" | head -1)
OUT=$(mktemp -d)
CONTAINER=srn-check-$$
export CONTAINER

docker pull --quiet tensorflow/serving:2.15.1
"$(dirname "$0")/run_docker.sh" "$FOLDER" > "$OUT/server.log" 2>&1 &
SERVER=$!
trap 'docker stop "$CONTAINER" > /dev/null 2>&1 || true' EXIT
trap 'exit 130' INT TERM

echo "waiting for the model"
tries=0
until curl --silent --fail "http://localhost:8501/v1/models/$NAME/metadata" > "$OUT/metadata.json"; do
    tries=$((tries + 1))
    if [ "$tries" -gt 120 ] || ! kill -0 "$SERVER" 2> /dev/null; then
        echo "no version was loaded; the end of $OUT/server.log:"
        tail -5 "$OUT/server.log"
        exit 1
    fi
    sleep 1
done
grep -q encoded "$OUT/metadata.json"

srn-client "$PHOTOGRAPH" -o "$OUT/grpc.png" --model "$NAME" --server localhost:8500
srn-client "$PHOTOGRAPH" -o "$OUT/rest.png" --model "$NAME" --server http://localhost:8501
cmp "$OUT/grpc.png" "$OUT/rest.png"
curl --silent --fail http://localhost:8501/monitoring/prometheus/metrics | grep -q request_count

# Each must be refused by name, and the server must live on.
if python -c "
import sys
from srn.serving.client import ServerError, connect
with connect('localhost:8500', model=sys.argv[1]) as server:
    try:
        server.restore_files([b'no image'])
    except ServerError as error:
        sys.exit(error.code != 'INVALID_ARGUMENT')
sys.exit(1)
" "$NAME"; then echo "a bad image is refused"; else echo "a bad image was not refused as it should"; exit 1; fi
srn-client "$PHOTOGRAPH" -o "$OUT/again.png" --model "$NAME" --server localhost:8500
echo "all is well; restored photographs in $OUT"
