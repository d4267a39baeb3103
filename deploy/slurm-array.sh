#!/bin/bash
# An array of Slurm under JobMon, with a credential for each task:
#   jobmon agent --out jobmond.pyz
#   jobmon credential $(printf -- '--id sim-%d ' {1..10}) --out .
#   sbatch slurm-array.sh
#   jobmon jobs array:$ARRAY_JOB_ID        (or array=${ARRAY_JOB_ID}_3 for one task)
#SBATCH --job-name=sim
#SBATCH --array=1-10
#SBATCH --output=sim-%A_%a.out

task=$SLURM_ARRAY_TASK_ID
exec python3 -I -S jobmond.pyz --credential "sim-$task.jobmon" -- ./simulate --seed "$task"
