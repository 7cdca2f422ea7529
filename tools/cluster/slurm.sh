#!/bin/bash
# Training on several hosts of a SLURM cluster, one process per host:
#
#   sbatch tools/cluster/slurm.sh --flagfile=flags/gopro.cfg --data_dir=/shared/GOPRO_Large --model_dir=/shared/runs/gopro
#
# All hosts need access to the same folders. Ten minutes before the end of the job, SLURM sends USR1: the run saves and
# ends, the job is requeued, and the run is resumed.
#SBATCH --job-name=srn
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gres=gpu:8
#SBATCH --time=24:00:00
#SBATCH --signal=USR1@600
#SBATCH --requeue
#SBATCH --open-mode=append

PORT=2222
WORKERS=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | sed "s/.*/\"&:$PORT\"/" | paste -sd,)
export WORKERS

# Each task has its own index. Exit code 138: ended by USR1, to be resumed.
srun bash -c '
  export TF_CONFIG="{\"cluster\": {\"worker\": [$WORKERS]}, \"task\": {\"type\": \"worker\", \"index\": $SLURM_PROCID}}"
  exec python train.py --distribute=multi_worker "$@"
' train "$@"
code=$?
if [ "$code" -eq 138 ]; then
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
