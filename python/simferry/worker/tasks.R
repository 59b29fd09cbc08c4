# Random numbers of the tasks that a simulation starts itself, in parallel, and of its own set.seed().
#
# The main process of a replication draws from its stream. Its tasks take streams that nothing else uses, in order of
# submission, one per element or iteration, whatever the number of workers or chunks: foreach's %dopar% (on any backend,
# or none), mclapply, mcmapply, parLapply, parSapply, parApply, clusterApply, clusterMap and their LB kinds. In a whole
# script, whose replication has a stream of its own, they are its substreams 1, 2, ... In a function replication r is
# substream r - 1 of its condition's stream k, and its tasks are substream r - 1 of the streams k + 1, k + 2, ... (the
# next substreams are the next replications'). What else a simulation may do about random numbers:
# - set.seed() has the last word where it is called, in the main process or in a task, and gives plain R's numbers. It
#   does not reach from the main process into tasks, and neither does clusterSetRNGStream(): replications would be
#   copies of each other, and so would two loops with a function between them that sets a seed of its own.
# - set.seed(NULL), RNGkind("L'Ecuyer-CMRG") and rm(.Random.seed), after which R would make up a seed, take a task's
#   stream.
# - What has no place in that count starts at a point drawn from its parent's stream (of 2^191: no two come near each
#   other): a task's own parallel tasks, what future, furrr and doRNG seed, and jobs of mcparallel and pvec, of which
#   there may be as many as workers.
# - mc.set.seed = FALSE is heeded: R's own way.
# - Futures without a seed, of which future warns, take tasks' streams, but by chunks: their numbers depend on the
#   plan's workers.
# - Not covered: draws in clusterCall and clusterEvalQ, chunks that the simulation itself makes.
# Packages switch generators for a while and remove the state to draw a port or an identifier: only what the
# simulation's own code does about its generator is taken for its wish.

# stream: .Random.seed of a script's main process, where this runs; NULL in the socket workers that makeCluster()
# starts, and in the worker of functions, which gives
# running: a function that says which replication this process runs, as a list; NULL where there is none, and R's own
# way holds. name: of any type. state: its .Random.seed. seeded: a function that is given the seeds that it sets.
# loading: as in state.R, or NULL.
# Base R alone: it travels to socket workers without surroundings.
keep_streams <- function(stream, running = NULL) {
  itself <- sys.function()
  start <- stream                             # of the main process
  process <- submitter <- Sys.getpid()
  at_first <- now <- list(
    task = is.null(stream) && is.null(running),   # is it a task that runs in this process, or the simulation itself?
    plain = RNGkind(),                        # the generator that a set.seed() here would meet in plain R
    # the generator that a package has switched to for its next set.seed(), and the state
    switched = NULL,
    seeded = FALSE)                           # has the simulation's set.seed() had its word?
  # the streams of the last mcparallel(), of the last future that forked, of either
  job <- future_job <- given <- replication <- NULL
  over <- FALSE
  global <- globalenv()
  rngkind <- RNGkind
  own_code <- function(frame) identical(topenv(frame), global)
  if (!is.null(stream)) global[[".Random.seed"]] <- stream
  # Whether streams are kept here. Where another replication has begun it starts from its own: no replication pays for
  # that which calls nothing of what is guarded.
  kept <- if (is.null(running)) function() !over else function() {
    if (over || is.null(it <- running())) return(FALSE)
    if (!identical(it$name, replication)) {
      replication <<- it$name
      start <<- stream <<- it$state
      process <<- submitter <<- Sys.getpid()
      now <<- at_first
      job <<- future_job <<- NULL
    }
    TRUE
  }
  begin <- function(seed) {                   # a task in this process or a fork of it; end() returns to what was before
    before <- list(global[[".Random.seed"]], now)
    global[[".Random.seed"]] <- seed
    now <<- list(task = TRUE, plain = now$plain, switched = NULL, seeded = FALSE)
    before
  }
  end <- function(before) {
    global[[".Random.seed"]] <- before[[1L]]
    now <<- before[[2L]]
  }
  main <- function() !now$task && Sys.getpid() == process
  elsewhere <- function() c(10407L, sample.int(.Machine$integer.max, 6L))
  dealer <- function() {                      # a function that gives the tasks' streams, one at each call
    if (main()) {
      jump <- if (is.null(running)) parallel::nextRNGSubStream else parallel::nextRNGStream
      return(function() stream <<- jump(stream))
    }
    jump <- parallel::nextRNGSubStream
    last <- elsewhere()
    function() last <<- jump(last)
  }
  deal_out <- function(n) {
    take <- dealer()
    lapply(seq_len(n), function(i) take())
  }
  fresh <- function() {
    global[[".Random.seed"]] <- dealer()()
    now$seeded <<- FALSE
    invisible()
  }
  lecuyer <- function() isTRUE(global[[".Random.seed"]][1L] %% 100L == 7L)
  # is the state simferry's, not set.seed()'s?
  own <- function() !now$seeded || lecuyer() && now$plain[1L] != "L'Ecuyer-CMRG"

  # Code put in front of a function's own keeps its arguments, and the calls that its errors and warnings name.
  changed <- list()
  put <- function(where, name, value) {
    old <- get(name, envir = where)
    changed[[length(changed) + 1L]] <<- list(where, name, old)
    exchange(where, name, old, value)
  }
  exchange <- function(where, name, old, value) {
    attached <- paste0("package:", environmentName(where))
    places <- c(where, if (attached %in% search()) as.environment(attached))
    # what has imported it
    if (isNamespace(where))
      places <- c(places, lapply(loadedNamespaces(), function(package) parent.env(asNamespace(package))))
    for (env in places) if (exists(name, env, inherits = FALSE) && identical(get(name, envir = env), old)) {
      locked <- bindingIsLocked(name, env)
      if (locked) unlockBinding(name, env)
      assign(name, value, envir = env)
      if (locked) lockBinding(name, env)
    }
  }
  inject <- function(where, name, code) {
    old <- value <- get(name, envir = where)
    # as it was compiled: R would compile loadNamespace() anew in each process, for a third of a second
    body(value) <- call("{", code, .Internal(bodyCode(old)))
    attributes(value) <- attributes(old)[setdiff(names(attributes(old)), "srcref")]
    put(where, name, value)
  }
  when_loaded <- function(package, change) {  # before any other package can import from it
    if (isNamespaceLoaded(package)) change(asNamespace(package))
    else setHook(packageEvent(package, "onLoad"), function(...) if (!over) change(asNamespace(package)))
  }

  # What a package draws when it is loaded or attached, snow a port for one, moves no state: in each process only one
  # replication loads it. The package's hooks are what R runs next.
  unmoved <- function(package, event) tryCatch({
    name <- if (is.environment(package)) getNamespaceName(package) else as.character(package)[[1L]]
    if ((event == "attach" || !isNamespaceLoaded(name)) && kept()) {
      before <- global[[".Random.seed"]]
      loading <- running()$loading
      loaded <- if (!is.null(loading)) loading()
      done <- FALSE
      setHook(packageEvent(name, event), function(...) if (!done) {
        done <<- TRUE
        global[[".Random.seed"]] <- before
        if (!is.null(loaded)) loaded()
      })
    }
  }, error = function(e) NULL)
  if (!is.null(running)) {
    inject(baseenv(), "loadNamespace", as.call(list(unmoved, quote(package), "onLoad")))
    inject(baseenv(), "attachNamespace", as.call(list(unmoved, quote(ns), "attach")))
  }

  # Seeds and kinds. A call of the simulation's own code tells its wish; `given` says of kind, normal.kind and
  # sample.kind which. The kinds that plain R would have now. A package that puts a state back which it has kept, as
  # withr does, has switched to nothing.
  met <- function(wish)
    if (wish || is.null(now$switched) || !identical(global[[".Random.seed"]], now$switched$state)) now$plain
    else now$switched$kinds
  as_plain <- function(wish) {                # where set.seed() is called; the state before
    before <- global[[".Random.seed"]]
    if (lecuyer()) suppressWarnings(do.call(rngkind, as.list(met(wish))))
    before
  }
  was_seeded <- function(ok, wish, given, before, seed) {
    if (!ok) {
      global[[".Random.seed"]] <- before
      return()
    }
    now["switched"] <<- list(NULL)
    if (!wish) return()
    now$plain[given] <<- rngkind()[given]
    now$seeded <<- TRUE
    if (!is.null(running) && main()) running()$seeded(seed)
  }
  was_chosen <- function(wish, own, kinds, given) {
    kinds[given] <- rngkind()[given]
    if (wish) now$plain <<- kinds else now$switched <<- list(kinds = kinds, state = global[[".Random.seed"]])
    if (wish && own && given[1L] && kinds[1L] == "L'Ecuyer-CMRG") fresh()
  }
  inject(baseenv(), "set.seed", bquote(if (.(kept)()) {
    wish <- .(own_code)(parent.frame())
    given <- c(!is.null(kind), !is.null(normal.kind), !is.null(sample.kind))
    if (wish && is.null(seed)) return(.(fresh)())
    before <- .(as_plain)(wish)
    on.exit(.(was_seeded)(is.null(returnValue(FALSE)), wish, given, before, seed))
  }))
  inject(baseenv(), "RNGkind", bquote(if ((length(kind) || length(normal.kind) || length(sample.kind)) && .(kept)()) {
    wish <- .(own_code)(parent.frame())
    own <- .(own)()
    met <- .(met)(wish)
    given <- c(length(kind), length(normal.kind), length(sample.kind)) > 0L
    on.exit(if (is.character(returnValue())) .(was_chosen)(wish, own, met, given))
  }))
  for (name in c("rm", "remove")) inject(baseenv(), name, bquote(on.exit(.(function(frame)
    if (is.null(global[[".Random.seed"]]) && own_code(frame) && kept() && !now$task) {
      global[[".Random.seed"]] <- start       # for parallel, which may have to be loaded to make the next
      fresh()
    })(parent.frame()))))

  # What a worker is sent is a task, or a chunk of them: parLapply sends lapply(chunk, FUN = ), parRapply apply(chunk,
  # MARGIN = , FUN = ), doParallel's preschedule a function of a list of iterations and the expression that each
  # evaluates.
  one <- function(seed, fun, args) {
    assign(".Random.seed", seed, envir = globalenv())
    do.call(fun, args, quote = TRUE)
  }
  chunk <- function(seeds, fun, args) {
    i <- 0L
    begin <- function() if (i < length(seeds)) assign(".Random.seed", seeds[[i <<- i + 1L]], envir = globalenv())
    FUN <- args[["FUN"]]
    if (is.null(FUN)) args[[2L]] <- call("{", as.call(list(begin)), args[[2L]])
    else {
      FUN <- match.fun(FUN)
      args[["FUN"]] <- function(...) {
        begin()
        FUN(...)
      }
    }
    do.call(fun, args, quote = TRUE)
  }
  environment(one) <- environment(chunk) <- .BaseNamespaceEnv      # from where a name of a function is looked up too
  deal <- function(fun, n, argfun) {
    force(argfun)
    if (!kept()) return(list(run = fun, argfun = argfun))
    take <- dealer()
    at <- if (identical(fun, lapply)) 2L else if (identical(fun, apply)) 3L
    if (!is.null(at) && n > 0L && is.null(names(argfun(1L)))) {   # snow's
      unnamed <- argfun
      argfun <- function(i) {
        args <- unnamed(i)
        names(args) <- c("", if (at == 3L) "MARGIN", "FUN", rep("", length(args) - at))
        args
      }
    }
    first <- names(if (n > 0L) argfun(1L))
    rows <- identical(fun, apply) && identical(first[1:3], c("", "MARGIN", "FUN"))
    chunks <- rows || identical(fun, lapply) && identical(first[1:2], c("", "FUN")) ||
      is.function(fun) && identical(names(formals(fun))[1:2], c("largs", "expr"))
    list(run = if (chunks) chunk else one, argfun = function(i) {
      args <- argfun(i)
      x <- args[[1L]]
      if (!chunks) return(list(take(), fun, args))
      size <- if (rows) prod(dim(x)[args[["MARGIN"]]]) else length(x)
      list(lapply(seq_len(size), function(j) take()), fun, args)
    })
  }
  guard_clusters <- function(ns) for (name in c("staticClusterApply", "dynamicClusterApply"))
    inject(ns, name, bquote({
      dealt <- .(deal)(fun, n, argfun)
      fun <- dealt$run
      argfun <- dealt$argfun
    }))
  when_loaded("snow", guard_clusters)

  # Rmpi's. What its own functions call is dealt already, but where mpi.parSapply and others call mpi.parLapply.
  seeded <- function(FUN) {
    force(FUN)
    function(.task, ...) {
      assign(".Random.seed", .task[[1L]], envir = globalenv())
      FUN(.task[[2L]], ...)
    }
  }
  environment(seeded) <- .BaseNamespaceEnv    # without what surrounds it: it is sent to each worker
  when_loaded("Rmpi", function(ns) {
    for (name in c("mpi.apply", "mpi.iapply", "mpi.applyLB", "mpi.iapplyLB", "mpi.parLapply", "mpi.iparLapply"))
      inject(ns, name, bquote(if (.(kept)() && (.(grepl("par", name)) || !identical(topenv(parent.frame()), .(ns)))) {
        FUN <- .(seeded)(match.fun(FUN))
        X <- structure(Map(list, .(deal_out)(length(X)), unname(as.list(X))), names = names(X))
      }))
    # workers that are spawned, for what is drawn there outside of tasks
    inject(ns, "mpi.spawn.Rslaves", bquote(if (.(kept)()) on.exit(.(function(comm) {
      if (ns$mpi.comm.size(comm) < 2L) return()
      last <- elsewhere()
      streams <- lapply(seq_len(ns$mpi.comm.size(comm) - 1L), function(i) last <<- parallel::nextRNGSubStream(last))
      own <- function(streams, comm) assign(".Random.seed", streams[[Rmpi::mpi.comm.rank(comm)]], envir = globalenv())
      environment(own) <- globalenv()
      do.call(ns$mpi.bcast.cmd, list(as.call(list(own, streams, comm)), comm = comm))
    })(comm))))
  })

  when_loaded("parallel", function(ns) {
    # forks compile nothing
    begin <<- compiler::cmpfun(begin)
    end <<- compiler::cmpfun(end)
    with_streams <- compiler::cmpfun(function(X, FUN) {
      force(FUN)
      take <- dealer()
      seeds <- lapply(seq_along(X), function(i) take())
      function(.task, ...) {
        i <- .task
        before <- begin(seeds[[i]])
        on.exit(end(before))
        FUN(X[[i]], ...)
      }
    })
    inject(ns, "mclapply", bquote(if (isTRUE(mc.set.seed) && .(kept)()) {
      mc.set.seed <- FALSE                    # each task sets its own
      FUN <- match.fun(FUN)
      if (!is.vector(X) || is.object(X)) X <- as.list(X)
      FUN <- .(with_streams)(X, FUN)
      X <- structure(seq_along(X), names = names(X))
    }))

    guard_clusters(ns)                        # all cluster functions but clusterCall end there

    # The port that parallel has picked is the same in all forks of a process, and follows from .Random.seed and the
    # time: here each process has its own, and takes another where that is taken, be it by a replication that names the
    # same one.
    opened <- NULL
    at_free_port <- function(make, port, ...) {
      # closes what earlier replications left open, and nobody knows
      if (!is.null(running) && !identical(opened, replication)) {
        suppressWarnings(gc(verbose = FALSE))
        opened <<- replication
      }
      ports <- c(port, suppressWarnings(as.integer(Sys.getenv("R_PARALLEL_PORT"))),
                 11000L + (Sys.getpid() + 37L * 0:49) %% 700L)
      for (port in ports[!is.na(ports)]) {      # cluster.R has 11711 and 11712
        taken <- FALSE
        tryCatch(close(serverSocket(port)), error = function(e) taken <<- TRUE)
        if (!taken) {
          cl <- tryCatch(make(..., port = port), error = function(e) {
            if (grepl(port, conditionMessage(e), fixed = TRUE)) taken <<- TRUE else stop(e)
          })
          if (!taken) return(cl)
        }
      }
      make(..., port = port)
    }
    makePSOCKcluster <- ns$makePSOCKcluster
    put(ns, "makePSOCKcluster", function(names, ..., port = NULL) {
      if (over) return(if (is.null(port)) makePSOCKcluster(names, ...) else makePSOCKcluster(names, ..., port = port))
      on <- kept()
      cl <- at_free_port(makePSOCKcluster, port, names, ...)
      if (on) parallel::clusterCall(cl, itself, NULL)
      cl
    })

    if (.Platform$OS.type == "windows") return()
    makeForkCluster <- ns$makeForkCluster
    put(ns, "makeForkCluster", function(nnodes = getOption("mc.cores", 2L), ..., port = NULL) {
      if (over) return(if (is.null(port)) makeForkCluster(nnodes, ...) else makeForkCluster(nnodes, ..., port = port))
      kept()
      at_free_port(makeForkCluster, port, nnodes, ...)
    })
    first_job <- function() {                 # two draws away, because the first point may be future's
      before <- begin(start)
      on.exit(end(before))
      begin(elsewhere())
      elsewhere()
    }
    advance <- ns$mc.advance.stream
    set <- ns$mc.set.stream
    inject(ns, "mcfork", as.call(list(function() if (kept()) submitter <<- Sys.getpid())))
    put(ns, "mc.advance.stream", function(reset = FALSE) {          # called after a fork, on both sides of it
      if (!kept()) return(advance(reset))
      if (is.null(job) && !is.null(start)) job <<- first_job()
      # How many futures fork depends on the workers of their plan: they move no job on, and by do.call(mcparallel, ...)
      # they do.
      of_future <- (at <- sys.nframe() - 3L) > 0L && identical(environmentName(topenv(sys.frame(at))), "future")
      if (now$task || submitter != process) given <<- job <<- elsewhere()
      else if (of_future)
        given <<- future_job <<-
          if (is.null(future_job)) parallel::nextRNGStream(job) else parallel::nextRNGSubStream(future_job)
      else given <<- job <<- parallel::nextRNGSubStream(job)
    })
    put(ns, "mc.set.stream", function() if (kept()) begin(given) else set())   # called in the child
  })

  when_loaded("foreach", function(ns) {       # %dopar% without a backend is doSEQ: same streams as with one
    # a further variable of the innermost loop
    add_seeds <- function(obj, take) {
      if (inherits(obj, "xforeach")) obj$e2 <- add_seeds(obj$e2, take)
      else {
        obj$args <- c(as.list(obj$args), list(.simferry_seed = as.call(list(iterators::iter, take))))
        obj$argnames <- c(obj$argnames, ".simferry_seed")
      }
      obj
    }
    getDoPar <- ns$getDoPar
    put(ns, "getDoPar", function() {
      backend <- getDoPar()
      if (!kept()) return(backend)
      real <- backend$fun
      if (identical(real, ns$doSEQ)) backend$fun <- function(obj, expr, envir, data) {
        take <- dealer()
        task <- as.call(list(function(value) {
          before <- begin(take())
          on.exit(end(before))
          value
        }, expr))
        tryCatch(ns$doSEQ(obj, task, envir, data), error = function(e) {
          if (identical(conditionCall(e), task)) e$call <- expr
          stop(e)
        })
      # whose tasks parallel's functions start
      } else if (!identical(environmentName(topenv(environment(real))), "doParallel"))
        backend$fun <- function(obj, expr, envir, data) {
          # in plain words: backends look through it for what they must send along
          seeded <- bquote({
            assign(".Random.seed", .simferry_seed, envir = globalenv())
            .(expr)
          })
          keep_state(NULL, real(add_seeds(obj, dealer()), seeded, envir, data))
        }
      backend
    })
  })

  # These start from an L'Ecuyer state as it is: doRNG goes on to the streams of other replications, and future and
  # furrr move the state by one draw, so that the tasks of their next call would repeat all but one of the draws of this
  # call's.
  for (package in c("future", "future.apply")) when_loaded(package, function(ns) {
    inject(ns, "as_lecyer_cmrg_seed", bquote(if (isTRUE(seed) && .(kept)() && .(own)()) return(.(elsewhere)())))
    # future >= 1.49 keeps a copy of the function there
    environment_of_kind <- environment(ns$parallel_rng_kind)
    if (is.list(environment_of_kind$config)) environment_of_kind$config$as_seed <- ns$as_lecyer_cmrg_seed
  })
  when_loaded("furrr", function(ns)
    inject(ns, "as_lecyer_cmrg_seed_from_base_r_seed", bquote(if (.(kept)() && .(own)()) return(.(elsewhere)()))))
  when_loaded("rngtools", function(ns)                              # doRNG's
    inject(ns, "RNGseq_seed", bquote(if (is.null(seed) && .(kept)() && .(own)()) return(.(elsewhere)()))))

  # Without a seed their tasks would draw from states that the system makes up, or all from the main process's.
  unseeded <- function(seed) (is.null(seed) || identical(seed, FALSE)) && kept()
  # seeds: where tasks run in this process and don't set theirs, they draw from the first, and not what the next loop
  # draws again
  keep_state <- function(seeds, value) {
    before <- global[[".Random.seed"]]
    on.exit(global[[".Random.seed"]] <- before)
    if (length(seeds)) global[[".Random.seed"]] <- seeds[[1L]]
    value
  }
  when_loaded("future", function(ns) inject(ns, "future", bquote(if (identical(seed, FALSE) && .(kept)()) {
    seed <- .(deal_out)(1L)[[1L]]
    before <- .(global)[[".Random.seed"]]
    on.exit(assign(".Random.seed", before, envir = .(global)))
  })))
  when_loaded("future.apply", function(ns) if (exists("future_xapply", ns, inherits = FALSE)) {
    future_xapply <- ns$future_xapply
    put(ns, "future_xapply", function(..., nX, future.seed) {
      if (!unseeded(future.seed)) return(future_xapply(..., nX = nX, future.seed = future.seed))
      seeds <- deal_out(nX)
      keep_state(seeds, future_xapply(..., nX = nX, future.seed = seeds))
    })
  })
  when_loaded("furrr", function(ns) if (exists("furrr_template", ns, inherits = FALSE)) {
    furrr_template <- ns$furrr_template
    put(ns, "furrr_template", function(..., n, options) {
      if (!unseeded(options$seed)) return(furrr_template(..., n = n, options = options))
      options$seed <- deal_out(n)
      keep_state(options$seed, furrr_template(..., n = n, options = options))
    })
  })

  list(
    # of a script, as if it had drawn nothing
    restart = function() {
      global[[".Random.seed"]] <- start
      now$seeded <<- FALSE
    },
    # of functions: what they chose while they were loaded is plain R's kind
    loaded = function() at_first$plain <<- now$plain,
    # of functions: the next replication starts from its own stream, also where it is one that is run again
    forget = function() replication <<- NULL,
    stop = function() {
      over <<- TRUE
      for (one in rev(changed)) exchange(one[[1L]], one[[2L]], get(one[[2L]], envir = one[[1L]]), one[[3L]])
    })
}
environment(keep_streams) <- .BaseNamespaceEnv

# In the worker of functions, before it loads one. set_running: sets the function that says which replication runs in
# this process.
# load: what a function that loads the simulation draws, and its tasks, follows from the run's seed, as if it were a
# replication: it is the same in every process of every job. It begins at a point of 186 bits, drawn from where the
# streams of all conditions are counted from: it is none of theirs.
guard_tasks <- function(seed) {
  running <- function() NULL
  # a message to a socket worker that outgrows 4096 bytes waits 22 ms without it, and a task's state adds 0.4 kB to each
  if (is.null(getOption("socketOptions"))) options(socketOptions = "no-delay")
  streams <- keep_streams(NULL, function() running())
  load <- function(simulation) {
    running <<- function() NULL
    set.seed(if (nzchar(seed)) as.integer(seed) else 0L, "L'Ecuyer-CMRG", "Inversion", "Rejection")
    state <- c(10407L, sample.int(.Machine$integer.max, 6L))
    running <<- function() list(name = c("loading", Sys.getpid()), state = state, seeded = function(seed) NULL)
    assign(".Random.seed", state, envir = globalenv())
    loaded <- simulation()
    streams$loaded()
    loaded
  }
  set_running <- function(f) {
    streams$forget()
    running <<- f
  }
  c(streams, set_running = set_running, load = load)
}
