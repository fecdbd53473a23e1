//! The two listeners: started with everything bound, stopped without breaking a request.

use super::call::enter;
use super::routes::{Listener, Place};
use super::{ApiDeps, Shared};
use actix_web::dev::ServerHandle;
use actix_web::{App, Handler, HttpRequest, HttpResponse, HttpServer, web};
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Threads of the `admin` listener: people, a console and Prometheus.
const ADMIN_WORKERS: usize = 1;
/// Connections per thread; more wait in the kernel's queue.
const CONNECTIONS_PER_WORKER_MAX: usize = 25_000;
/// How long an idle connection is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long the head of a request may take to arrive.
const HEAD_WAIT_MAX: Duration = Duration::from_secs(5);
/// How long a client may take to let go of a connection that is over.
const DISCONNECT_WAIT_MAX: Duration = Duration::from_secs(1);
/// How long running requests are waited for at a stop, seconds.
const GRACE_SECONDS: u64 = 5;

/// Two running listeners.
pub struct Serving {
    shared: web::Data<Shared>,
    servers: [ServerHandle; 2],
}

/// Starts both listeners on threads of their own. Must be called on an actix system.
///
/// # Errors
/// When a socket cannot be listened on.
pub fn serve(deps: ApiDeps) -> io::Result<Serving> {
    let (api_listener, admin_listener, workers) = (deps.api_listener, deps.admin_listener, deps.settings.workers);
    let shared = web::Data::new(Shared {
        cluster: deps.cluster,
        actors: deps.actors,
        hub: deps.hub,
        keys: deps.keys,
        clock: deps.clock,
        log_key: deps.log_key,
        own_root: deps.own_root,
        telemetry: deps.telemetry,
        settings: deps.settings,
        draining: AtomicBool::new(false),
    });
    let api = listen(Listener::Api, api_listener, workers, &shared)?;
    let admin = listen(Listener::Admin, admin_listener, ADMIN_WORKERS, &shared)?;
    Ok(Serving { shared, servers: [api, admin] })
}

impl Serving {
    /// Says in `/readyz` that this node is about to stop, so that whoever balances load looks elsewhere; requests are still answered.
    pub fn drain(&self) {
        self.shared.drain();
    }

    /// Stops: ends the streams cleanly, takes no new connection, and gives running requests a few seconds to finish.
    pub async fn stop(&self) {
        self.drain();
        self.shared.hub.close_all();
        futures::future::join_all(self.servers.iter().map(|server| server.stop(true))).await;
    }
}

fn listen(listener: Listener, socket: TcpListener, workers: usize, shared: &web::Data<Shared>) -> io::Result<ServerHandle> {
    let places: Vec<Arc<Place>> = Place::all(listener).into_iter().map(Arc::new).collect();
    let nowhere = Arc::new(Place::nowhere(listener));
    let shared = shared.clone();
    let app = move || {
        let app = App::new().app_data(shared.clone()).default_service(web::to(door(nowhere.clone())));
        places.iter().fold(app, |app, place| app.service(web::resource(place.matcher()).to(door(place.clone()))))
    };
    let server = HttpServer::new(app)
        .workers(workers.max(1))
        .max_connections(CONNECTIONS_PER_WORKER_MAX)
        .keep_alive(KEEP_ALIVE)
        .client_request_timeout(HEAD_WAIT_MAX)
        .client_disconnect_timeout(DISCONNECT_WAIT_MAX)
        .shutdown_timeout(GRACE_SECONDS)
        .disable_signals()
        .listen(socket)?
        .run();
    let handle = server.handle();
    actix_web::rt::spawn(server);
    Ok(handle)
}

/// Whatever the method: the door decides.
fn door(place: Arc<Place>) -> impl Handler<(web::Data<Shared>, HttpRequest, web::Payload), Output = HttpResponse> {
    move |shared: web::Data<Shared>, request: HttpRequest, payload: web::Payload| {
        let place = place.clone();
        async move { enter(shared, &place, request, payload).await }
    }
}
