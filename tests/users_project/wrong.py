"""Mistakes that a type checker finds: each line that ends in a comment has this error, and no other line has one."""

import simferry as sf

sf.runn("power.R", replications=100)  # attr-defined
sf.run()  # call-arg
sf.run(17, replications=100)  # arg-type
sf.run("power.R", replications="100")  # arg-type
sf.run("power.R", replications=100, seed="1")  # arg-type
sf.run("power.R", replications=100, on_progress=len)  # arg-type
sf.grid(n=[10, 20], types=["integer"])  # arg-type
sf.random("100", n=(10, 50))  # arg-type
run = sf.open(3)  # arg-type
run.resum()  # attr-defined
run.extend("5000")  # arg-type
run.resume(retry_failed="yes")  # arg-type
run.artifacts("1")  # arg-type
run.results().summary()  # operator
print(run.status().percent)  # attr-defined
sf.plan("power.R", replications=100, pilot="no")  # arg-type
sf.r.eval("1 + 1")  # attr-defined
