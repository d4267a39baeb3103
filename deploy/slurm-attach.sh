#!/bin/bash
# A script of Slurm that JobMon looks into as it is, without a program in front of it:
#   jobmon agent --out jobmond.pyz
#   jobmon credential --id sim-42 --out .
#   sbatch slurm-attach.sh
#SBATCH --job-name=sim
#SBATCH --output=sim-%j.out

# From here on the whole script is watched. Its trap tells how it ended.
export JOBMON_CREDENTIAL=sim-42.jobmon
eval "$(python3 -I -S jobmond.pyz attach --sh)"

./prepare
./simulate --events 100000
