"""The input of a job: stretches of replications, their streams, the job file."""
