# Keeps a core busy for so many seconds of this process's CPU time, and returns how many it really was.
#
# proc.time() has whole milliseconds only, so the clock on the wall counts them finely, and the CPU's clock holds it
# back where the process had to wait for a core.
simulate <- function(seconds) {
  cpu_seconds <- function() sum(proc.time()[1:2])
  wall_seconds <- function() as.numeric(Sys.time())
  cpu_begin <- cpu_seconds()
  wall_begin <- wall_seconds()
  repeat {
    busy <- min(wall_seconds() - wall_begin, cpu_seconds() - cpu_begin + 0.001)
    if (busy >= seconds) {
      return(c(busy_seconds = busy))
    }
  }
}
