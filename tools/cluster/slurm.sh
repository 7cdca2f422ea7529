#!/bin/bash
# Training on several hosts of a SLURM cluster, one process a host:
#
#   sbatch tools/cluster/slurm.sh --flagfile=flags/gopro.cfg --data_dir=/shared/GOPRO_Large --model_dir=/shared/runs/gopro
#
# All hosts see the same folders. USR1 comes ten minutes before the end of the job: the run saves, ends, and is queued
# again; what is there is resumed.
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

# Each task has its own index. 138 is USR1: saved, and to go on.
srun bash -c '
  export TF_CONFIG="{\"cluster\": {\"worker\": [$WORKERS]}, \"task\": {\"type\": \"worker\", \"index\": $SLURM_PROCID}}"
  exec python train.py --distribute=multi_worker "$@"
' train "$@"
code=$?
if [ "$code" -eq 138 ]; then
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
