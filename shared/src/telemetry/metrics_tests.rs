//! Each process exposes what the table says.

use prometheus::proto::MetricType;

use super::*;

fn known() -> Known {
    Known {
        enti: vec![KnownEnte {
            id: "rocca".to_owned(),
            account: "unione".to_owned(),
            tipi: vec!["permesso.rinnovato".to_owned()],
            messaggi: vec!["permesso-in-scadenza".to_owned()],
            timer: vec!["dimora".to_owned()],
        }],
    }
}

fn registry(process: Process) -> Registry {
    let registry = Registry::new();
    let fleet = FleetMetrics::register(&registry, process, &known()).unwrap();
    fleet.certificate_end.with_label_values(&["amqp.tls.ca_file"]).set(1);
    match process {
        Process::Scheduler => drop(SchedulerMetrics::register(&registry, &known()).unwrap()),
        Process::Renderer => {}
        Process::Dispatcher => {
            let metrics = DispatcherMetrics::register(&registry, &known()).unwrap();
            metrics.rate_limit_remaining.with_label_values(&["unione"]).set(150);
        }
    }
    registry
}

#[test]
fn each_process_exposes_the_families_it_feeds_as_the_table_says() {
    for process in [Process::Scheduler, Process::Renderer, Process::Dispatcher] {
        let gathered = registry(process).gather();
        let expected: Vec<Family> =
            f::FAMILIES.into_iter().filter(|family| family.fed_by.contains(&process)).collect();
        assert_eq!(gathered.len(), expected.len(), "{process:?}");
        for family in expected {
            let found = gathered.iter().find(|found| found.name() == family.name).unwrap();
            assert_eq!(found.help(), family.help, "{}", family.name);
            let kind = match family.kind {
                Kind::Counter => MetricType::COUNTER,
                Kind::Gauge => MetricType::GAUGE,
                Kind::Histogram(_) => MetricType::HISTOGRAM,
            };
            assert_eq!(found.get_field_type(), kind, "{}", family.name);
            let mut labels = names(&family);
            labels.sort_unstable();
            let series = &found.get_metric()[0];
            let seen: Vec<&str> = series.get_label().iter().map(prometheus::proto::LabelPair::name).collect();
            assert_eq!(seen, labels, "{}", family.name);
        }
    }
}

#[test]
fn known_label_values_start_at_zero() {
    let text = prometheus::TextEncoder::new().encode_to_string(&registry(Process::Scheduler).gather());
    let text = text.unwrap();
    for line in [
        r#"promemoria_events_total{ente="rocca",result="refused",tipo="permesso.rinnovato"} 0"#,
        r#"promemoria_events_total{ente="-",result="refused",tipo="-"} 0"#,
        r#"promemoria_events_total{ente="rocca",result="refused",tipo="-"} 0"#,
        r#"promemoria_events_total{ente="-",result="refused",tipo="permesso.rinnovato"} 0"#,
        r#"promemoria_timers_armed{ente="rocca",messaggio="dimora"} 0"#,
        r#"promemoria_dead_total{code="attempts"} 0"#,
        r#"promemoria_stage_duration_seconds_count{stage="intake"} 0"#,
        "promemoria_config_reload_errors_total 0",
        "promemoria_broker_blocked 0",
        r#"promemoria_broker_faults_total{kind="consumer-ended"} 0"#,
    ] {
        assert!(text.lines().any(|found| found == line), "no line {line} in\n{text}");
    }
    assert!(!text.contains(r#"stage="render""#), "a stage of another process");
}

#[test]
fn names_follow_the_units() {
    for family in f::FAMILIES {
        let name = family.name;
        assert!(name.starts_with("promemoria_"), "{name}");
        assert_eq!(name.ends_with("_total"), family.kind == Kind::Counter, "{name}");
        let measures = name.ends_with("_seconds") && !name.ends_with("_timestamp_seconds");
        assert_eq!(measures, matches!(family.kind, Kind::Histogram(_)), "{name}");
        assert!(family.labels.len() <= 3, "{name}");
    }
}
