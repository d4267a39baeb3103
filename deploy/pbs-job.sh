#!/bin/bash
# A job of PBS or Torque under JobMon:
#   jobmon agent --out jobmond.pyz
#   jobmon credential --id sim-42 --out .
#   qsub pbs-job.sh
#PBS -N sim
#PBS -j oe
#PBS -l walltime=02:00:00

cd "$PBS_O_WORKDIR" || exit 1
# PBS brings a job's output home at its end: a file in the working directory can be looked at meanwhile.
exec python3 -I -S jobmond.pyz --credential sim-42.jobmon -- ./simulate --events 100000 >sim.out 2>&1
