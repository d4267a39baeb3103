#!/bin/bash
# A job of Slurm under JobMon. Before submitting, on the submit host:
#   jobmon agent --out jobmond.pyz
#   jobmon credential --id sim-42 --out .
#   sbatch slurm-job.sh
#SBATCH --job-name=sim
#SBATCH --output=sim-%j.out
#SBATCH --requeue

# `exec`: the program itself gets the batch system's signals. `-I -S`: Python starts without the site's packages.
exec python3 -I -S jobmond.pyz --credential sim-42.jobmon -- ./simulate --events 100000
