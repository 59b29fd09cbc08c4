# One cluster over all hosts of a job, for a whole script: parallel::makeCluster() and registerDoParallel() without
# arguments span them. The script runs on the leader, the first host. The others run
#
#   serve_host(leader, token)                    which starts socket workers when the leader asks, and ends when the
#   leader does
#
# and R's own socket cluster reaches them through
#
#   Rscript cluster.R start ... HOST COMMAND     instead of ssh (makePSOCKcluster's rshcmd)
#
# Base R alone (>= 4.0, for serverSocket).

control_port <- 11711L   # on each host that is not the leader: who wants a worker started?
leader_port <- 11712L    # on the leader: held open as long as it lives

# On the leader: makes its death visible to the others. Keep what it returns.
lead_hosts <- function() serverSocket(leader_port)

# On another host. Ends the process when the leader has ended.
serve_host <- function(leader, token, seconds_to_wait = 600) {
  server <- serverSocket(control_port)
  until <- Sys.time() + seconds_to_wait
  repeat {   # the leader may start later than we do
    lifeline <- tryCatch(suppressWarnings(socketConnection(leader, leader_port, open = "rb", blocking = FALSE,
                                                           timeout = 5)), error = function(e) NULL)
    if (!is.null(lifeline)) break
    if (Sys.time() > until)
      stop("the leader, ", leader, ", could not be reached for ", seconds_to_wait, " s", call. = FALSE)
    Sys.sleep(0.2)
  }
  cat("ready for", leader, "\n")
  repeat {
    ready <- socketSelect(list(server, lifeline), timeout = 60)
    if (ready[2L]) break   # nothing is ever sent there: it was closed
    if (!ready[1L]) next
    asked <- socketAccept(server, blocking = TRUE, open = "r+", timeout = 10)
    request <- tryCatch(readLines(asked, 2L), error = function(e) "", warning = function(w) "")
    close(asked)
    if (!identical(request[1L], token)) next
    # of the whole command only what says where to connect to: nobody runs anything else here
    settings <- regmatches(request[2L],
                           gregexpr("\\b(MASTER|PORT|OUT|SETUPTIMEOUT|TIMEOUT|XDR|SETUPSTRATEGY)=[A-Za-z0-9._/-]+",
                                    request[2L]))[[1L]]
    system2(file.path(R.home("bin"), "Rscript"), c("-e", shQuote("parallel:::.workRSOCK()"), settings), wait = FALSE)
  }
  quit("no", status = 0)
}

# In the script's process on the leader, before its first line.
span_hosts <- function(hosts, cores, itself) {
  namespace <- asNamespace("parallel")
  start <- paste(shQuote(file.path(R.home("bin"), "Rscript")), shQuote(itself), "start")
  original <- namespace$makeCluster
  spanning <- function(spec, type, ...) {
    if (!missing(spec)) return(if (missing(type)) original(spec, ...) else original(spec, type, ...))
    # the leader's own workers need no messenger
    names <- rep(c("localhost", hosts[-1L]), each = cores)
    namespace$makePSOCKcluster(names, master = hosts[1L], rshcmd = start, homogeneous = TRUE, ...)
  }
  for (place in list(namespace, if ("package:parallel" %in% search()) as.environment("package:parallel")))
    if (!is.null(place)) {
    unlockBinding("makeCluster", place)
    assign("makeCluster", spanning, place)
    lockBinding("makeCluster", place)
  }
  if (length(hosts) > 1L) setHook(packageEvent("doParallel", "onLoad"), function(...) {
    ns <- asNamespace("doParallel")
    register <- ns$registerDoParallel
    body(register) <- call("{", quote(if (missing(cl) && missing(cores)) cl <- parallel::makeCluster()), body(register))
    unlockBinding("registerDoParallel", ns)
    assign("registerDoParallel", register, ns)
    lockBinding("registerDoParallel", ns)
  })
}

if (any(grepl("^--file=.*cluster[.]R$", commandArgs()))) {   # Rscript cluster.R start -l USER HOST COMMAND
  arguments <- commandArgs(trailingOnly = TRUE)
  host <- arguments[length(arguments) - 1L]
  until <- Sys.time() + 600
  repeat {   # its setup script may take longer than the leader's
    asked <- tryCatch(suppressWarnings(socketConnection(host, control_port, open = "r+", blocking = TRUE,
                                                        timeout = 10)), error = function(e) NULL)
    if (!is.null(asked) || Sys.time() > until) break
    Sys.sleep(0.2)
  }
  if (is.null(asked)) stop("host ", host, " does not answer", call. = FALSE)
  writeLines(c(Sys.getenv("SIMFERRY_TOKEN"), arguments[length(arguments)]), asked)
  close(asked)
}
