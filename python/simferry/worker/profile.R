# Random numbers of a whole script, one replication: the R_PROFILE_USER of `Rscript script.R ...`; the script stays as it is.
# Also of each R process that a script or a command starts, whose stream is another one (below.R).
#
# SIMFERRY_STREAM is the replication's .Random.seed (L'Ecuyer-CMRG). The main process draws from it; parallel tasks take its
# substreams 1, 2, ... in order of submission, one per element or iteration, whatever the number of workers or chunks:
# foreach's %dopar% (doParallel on sockets or forks, doMC, or no backend), mclapply, mcmapply, parLapply, parSapply, parApply,
# clusterApply, clusterMap and their LB kinds. What else a script may do about random numbers:
# - set.seed() has the last word where it is called, in the main process or in a task, and gives plain R's numbers. It does
#   not reach from the main process into tasks, and neither does clusterSetRNGStream(): replications would be copies of each
#   other, and so would two loops with a function between them that sets a seed of its own.
# - set.seed(NULL), RNGkind("L'Ecuyer-CMRG") and rm(.Random.seed), after which R would make up a seed, take a substream.
# - What has no place in that count starts at a point drawn from its parent's stream (of 2^191: no two come near each other):
#   a task's own parallel tasks, what future, furrr and doRNG seed, and jobs of mcparallel and pvec, of which there may be as
#   many as workers.
# - mc.set.seed = FALSE is heeded: R's own way.
# - Not covered: draws in clusterCall and clusterEvalQ, %dopar% on other backends, chunks that the script itself makes.
# Packages switch generators for a while and remove the state to draw a port or an identifier: only what the script's own code
# does about its generator is taken for its wish.
local({
  given <- Sys.getenv("SIMFERRY_STREAM")
  displaced <- Sys.getenv("SIMFERRY_R_PROFILE_USER", NA)
  Sys.unsetenv("SIMFERRY_STREAM")
  stream <- if (nzchar(given)) suppressWarnings(as.integer(strsplit(given, ",")[[1L]]))    # -2^31 is R's NA: legal here
  if (nzchar(Sys.getenv("SIMFERRY_PROCESSES"))) {
    source(file.path(dirname(Sys.getenv("R_PROFILE_USER")), "simferry_worker", "below.R"), local = TRUE)
    if (!nzchar(given)) stream <- stream_below()
    hand_down_streams()
  } else {
    Sys.unsetenv(c("SIMFERRY_R_PROFILE_USER", "R_PROFILE_USER"))
    if (!is.na(displaced)) Sys.setenv(R_PROFILE_USER = displaced)
  }
  if (nzchar(given) && (length(stream) != 7L || !identical(stream[1L] %% 100L, 7L)))
    stop("SIMFERRY_STREAM is '", given, "', not the 7 integers of an L'Ecuyer-CMRG .Random.seed")
  # A message to a socket worker that outgrows 4096 bytes waits 22 ms without it, and a task's state adds 0.4 kB to each.
  if (is.null(getOption("socketOptions"))) options(socketOptions = "no-delay")

  # Runs here, and with NULL in the socket workers that makeCluster() starts. Base R alone: it travels without surroundings.
  keep_streams <- function(stream) {
    itself <- sys.function()
    process <- submitter <- Sys.getpid()
    now <- list(task = is.null(stream),         # is it a task that runs in this process, or the script itself?
                plain = RNGkind()[1L],          # the generator that a set.seed() here would meet in plain R
                switched = NULL,                # the generator that a package has switched to for its next set.seed()
                seeded = FALSE)                 # has the script's set.seed() had its word?
    global <- globalenv()
    script <- function(frame) identical(topenv(frame), global)
    if (!now$task) global[[".Random.seed"]] <- stream
    begin <- function(seed) {                   # a task in this process or a fork of it; end() returns to what was before
      before <- list(global[[".Random.seed"]], now)
      global[[".Random.seed"]] <- seed
      now <<- list(task = TRUE, plain = now$plain, switched = NULL, seeded = FALSE)
      before
    }
    end <- function(before) { global[[".Random.seed"]] <- before[[1L]]; now <<- before[[2L]] }
    elsewhere <- function() c(10407L, sample.int(.Machine$integer.max, 6L))
    dealer <- function() {                      # a function that gives a loop's substreams, one at each call
      jump <- parallel::nextRNGSubStream
      if (!now$task && Sys.getpid() == process) return(function() stream <<- jump(stream))
      last <- elsewhere()
      function() last <<- jump(last)
    }
    fresh <- function() { global[[".Random.seed"]] <- dealer()(); now$seeded <<- FALSE; invisible() }
    lecuyer <- function() identical(global[[".Random.seed"]][1L] %% 100L, 7L)
    own <- function() !now$seeded || lecuyer() && now$plain != "L'Ecuyer-CMRG"    # is the state simferry's, not set.seed()'s?

    # Code put in front of a function's own keeps its arguments, and the calls that its errors and warnings name.
    put <- function(where, name, value) {
      attached <- paste0("package:", environmentName(where))
      for (env in c(where, if (attached %in% search()) as.environment(attached))) if (exists(name, env, inherits = FALSE)) {
        unlockBinding(name, env); assign(name, value, envir = env); lockBinding(name, env)
      }
    }
    inject <- function(where, name, code) {
      value <- get(name, envir = where)
      body(value) <- call("{", code, body(value))
      put(where, name, value)
    }
    when_loaded <- function(package, change) {  # before any other package can import from it
      if (isNamespaceLoaded(package)) change(asNamespace(package))
      else setHook(packageEvent(package, "onLoad"), function(...) change(asNamespace(package)))
    }

    inject(baseenv(), "set.seed", bquote({
      wish <- .(script)(parent.frame()); chosen <- !is.null(kind)
      if (wish && is.null(seed)) return(.(fresh)())
      if (!chosen && .(lecuyer)()) kind <- .(function(wish) if (wish || is.null(now$switched)) now$plain else now$switched)(wish)
      on.exit(if (is.null(returnValue(FALSE))) .(function(wish, chosen) {
        now["switched"] <<- list(NULL)
        if (wish && chosen) now$plain <<- RNGkind()[1L]
        if (wish) now$seeded <<- TRUE
      })(wish, chosen))
    }))
    inject(baseenv(), "RNGkind", bquote({
      wish <- .(script)(parent.frame()); own <- .(own)()
      on.exit(if (length(kind) && is.character(returnValue())) .(function(wish, own) {
        now[[if (wish) "plain" else "switched"]] <<- RNGkind()[1L]
        if (wish && own && now$plain == "L'Ecuyer-CMRG") fresh()
      })(wish, own))
    }))
    for (name in c("rm", "remove")) inject(baseenv(), name, bquote(on.exit(.(function(frame)
      if (!now$task && is.null(global[[".Random.seed"]]) && script(frame)) {
        global[[".Random.seed"]] <- stream      # for parallel, which may have to be loaded to make the next
        fresh()
      })(parent.frame()))))

    when_loaded("parallel", function(ns) {
      begin <<- compiler::cmpfun(begin); end <<- compiler::cmpfun(end)  # forks compile nothing
      with_streams <- compiler::cmpfun(function(X, FUN) {
        force(FUN); take <- dealer(); seeds <- lapply(seq_along(X), function(i) take())
        function(.task, ...) { i <- .task; before <- begin(seeds[[i]]); on.exit(end(before)); FUN(X[[i]], ...) }
      })
      inject(ns, "mclapply", bquote(if (isTRUE(mc.set.seed)) {
        mc.set.seed <- FALSE                    # each task sets its own
        FUN <- match.fun(FUN)
        if (!is.vector(X) || is.object(X)) X <- as.list(X)
        FUN <- .(with_streams)(X, FUN)
        X <- structure(seq_along(X), names = names(X))
      }))

      # What a worker is sent is a task, or a chunk of them: parLapply sends lapply(chunk, FUN = ), parRapply apply(chunk,
      # MARGIN = , FUN = ), doParallel's preschedule a function of a list of iterations and the expression that each evaluates.
      one <- function(seed, fun, args) { assign(".Random.seed", seed, envir = globalenv()); do.call(fun, args, quote = TRUE) }
      chunk <- function(seeds, fun, args) {
        i <- 0L
        begin <- function() if (i < length(seeds)) assign(".Random.seed", seeds[[i <<- i + 1L]], envir = globalenv())
        FUN <- args[["FUN"]]
        if (is.null(FUN)) args[[2L]] <- call("{", as.call(list(begin)), args[[2L]])
        else { FUN <- match.fun(FUN); args[["FUN"]] <- function(...) { begin(); FUN(...) } }
        do.call(fun, args, quote = TRUE)
      }
      environment(one) <- environment(chunk) <- .BaseNamespaceEnv      # from where a name of a function is looked up too
      deal <- function(fun, n, argfun) {
        force(argfun); take <- dealer(); first <- names(if (n > 0L) argfun(1L))
        rows <- identical(fun, apply) && identical(first[1:3], c("", "MARGIN", "FUN"))
        chunks <- rows || identical(fun, lapply) && identical(first[1:2], c("", "FUN")) ||
          is.function(fun) && identical(names(formals(fun))[1:2], c("largs", "expr"))
        list(run = if (chunks) chunk else one, argfun = function(i) {
          args <- argfun(i); x <- args[[1L]]
          if (!chunks) return(list(take(), fun, args))
          size <- if (rows) prod(dim(x)[args[["MARGIN"]]]) else length(x)
          list(lapply(seq_len(size), function(j) take()), fun, args)
        })
      }
      for (name in c("staticClusterApply", "dynamicClusterApply"))    # all cluster functions but clusterCall end there
        inject(ns, name, bquote({ dealt <- .(deal)(fun, n, argfun); fun <- dealt$run; argfun <- dealt$argfun }))
      makePSOCKcluster <- ns$makePSOCKcluster
      put(ns, "makePSOCKcluster", function(names, ...) {
        cl <- makePSOCKcluster(names, ...)
        parallel::clusterCall(cl, itself, NULL)
        cl
      })

      # The port that parallel has picked follows from .Random.seed and the time: the same in another condition's process
      if (!grepl("^[0-9]+$", Sys.getenv("R_PARALLEL_PORT")))
        ns$setDefaultClusterOptions(port = 11000L + Sys.getpid() %% 700L)      # cluster.R has 11711 and 11712

      if (.Platform$OS.type == "windows") return()
      job <- if (!is.null(stream)) {            # two draws away, because the first point may be future's
        before <- begin(stream); on.exit(end(before)); begin(elsewhere()); elsewhere()
      }
      inject(ns, "mcfork", as.call(list(function() submitter <<- Sys.getpid())))
      put(ns, "mc.advance.stream", function(reset = FALSE)            # called after a fork, on both sides of it
        job <<- if (now$task || submitter != process) elsewhere() else parallel::nextRNGSubStream(job))
      put(ns, "mc.set.stream", function() begin(job))                 # called in the child
    })

    when_loaded("foreach", function(ns) {       # %dopar% without a backend is doSEQ: same streams as with one
      getDoPar <- ns$getDoPar
      put(ns, "getDoPar", function() {
        backend <- getDoPar()
        if (identical(backend$fun, ns$doSEQ)) backend$fun <- function(obj, expr, envir, data) {
          take <- dealer()
          task <- as.call(list(function(value) { before <- begin(take()); on.exit(end(before)); value }, expr))
          tryCatch(ns$doSEQ(obj, task, envir, data), error = function(e) {
            if (identical(conditionCall(e), task)) e$call <- expr
            stop(e)
          })
        }
        backend
      })
    })

    # These start from an L'Ecuyer state as it is: doRNG goes on to the streams of other replications, and future and furrr move
    # the state by one draw, so that the tasks of their next call would repeat all but one of the draws of this call's.
    for (package in c("future", "future.apply")) when_loaded(package, function(ns) {
      inject(ns, "as_lecyer_cmrg_seed", bquote(if (isTRUE(seed) && .(own)()) return(.(elsewhere)())))
      kept <- environment(ns$parallel_rng_kind)                       # future >= 1.49 keeps a copy of the function there
      if (is.list(kept$config)) kept$config$as_seed <- ns$as_lecyer_cmrg_seed
    })
    when_loaded("furrr", function(ns)
      inject(ns, "as_lecyer_cmrg_seed_from_base_r_seed", bquote(if (.(own)()) return(.(elsewhere)()))))
    when_loaded("rngtools", function(ns)                              # doRNG's
      inject(ns, "RNGseq_seed", bquote(if (is.null(seed) && .(own)()) return(.(elsewhere)()))))

    if (!is.null(stream)) function(seed) { global[[".Random.seed"]] <- seed; now$seeded <<- FALSE }
  }
  environment(keep_streams) <- .BaseNamespaceEnv
  start <- if (!is.null(stream)) keep_streams(stream)

  for (file in if (is.na(displaced)) c(".Rprofile", "~/.Rprofile") else displaced) if (nzchar(file) && file.exists(file)) {
    source(file, local = globalenv(), print.eval = TRUE)
    break
  }
  if (!is.null(stream)) start(stream)           # whatever it did about random numbers

  # Several hosts: makeCluster() and registerDoParallel() without arguments span them.
  if (nzchar(given) && nzchar(Sys.getenv("SIMFERRY_CLUSTER"))) {
    source(Sys.getenv("SIMFERRY_CLUSTER"), local = TRUE)
    hosts <- strsplit(Sys.getenv("SIMFERRY_HOSTS"), ",")[[1L]]
    span_hosts(hosts, as.integer(Sys.getenv("SIMFERRY_CORES")), Sys.getenv("SIMFERRY_CLUSTER"))
  }
})
