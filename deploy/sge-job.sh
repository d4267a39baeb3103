#!/bin/bash
# A job of Grid Engine under JobMon:
#   jobmon agent --out jobmond.pyz
#   jobmon credential --id sim-42 --out .
#   qsub sge-job.sh
#$ -N sim
#$ -cwd
#$ -S /bin/bash
#$ -o sim.out
#$ -j y
# A plain qdel is a KILL without a word; with -notify the job gets USR2 first.
#$ -notify

exec python3 -I -S jobmond.pyz --credential sim-42.jobmon -- ./simulate --events 100000
