#!/bin/sh
# Serves an exported model by plain Docker:  serving/run_docker.sh served/srn
# gRPC on 8500, REST on 8501, to be reached from this machine only (there is neither encryption nor login).
# Stop it with: docker stop srn-serving
set -eu

FOLDER=$(cd "${1:?give the folder that --export_dir named, such as served/srn}" && pwd)
NAME=$(basename "$FOLDER")
# The container would start, and wait for ever for what is not there.
if ! grep -qs "base_path: \"/models/$NAME\"" "$FOLDER/models.config"; then
    echo "$0: $FOLDER: has no models.config that names /models/$NAME; give the folder that --export_dir named" >&2
    exit 2
fi
if ! ls "$FOLDER"/[1-9]*/saved_model.pb > /dev/null 2>&1; then
    echo "$0: $FOLDER: has no version, a folder with a number for its name and saved_model.pb in it" >&2
    exit 2
fi
CORES=${CORES:-$(nproc)}

exec docker run --rm --name "${CONTAINER:-srn-serving}" \
    -p 127.0.0.1:8500:8500 -p 127.0.0.1:8501:8501 \
    --mount "type=bind,source=$FOLDER,target=/models/$NAME,readonly" \
    --cpus "$CORES" --memory "${MEMORY:-24g}" --env TF_ENABLE_ONEDNN_OPTS=0 \
    --user 10001:10001 --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges \
    tensorflow/serving:2.15.1 \
    --model_config_file="/models/$NAME/models.config" \
    --model_config_file_poll_wait_seconds=60 \
    --allow_version_labels_for_unavailable_models=true \
    --monitoring_config_file="/models/$NAME/monitoring.config" \
    --tensorflow_intra_op_parallelism="$CORES" \
    --tensorflow_inter_op_parallelism=2 \
    --rest_api_timeout_in_ms=300000
