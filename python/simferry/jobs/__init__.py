"""What a job is given: stretches of replications, their streams, the job file."""
