#!/bin/bash
# Steps of Slurm, each a job of its own for JobMon:
#   jobmon agent --out jobmond.pyz
#   jobmon credential --id fit-0 --id fit-1 --out .
#   sbatch slurm-steps.sh
#SBATCH --job-name=fit
#SBATCH --ntasks=2
#SBATCH --output=fit-%j.out

# Each task writes a file of its own: what goes through srun's pipe cannot be looked at.
srun --output=fit-%j-%t.out bash -c '
    exec python3 -I -S jobmond.pyz --credential "fit-$SLURM_PROCID.jobmon" -- ./simulate --part "$SLURM_PROCID"'
