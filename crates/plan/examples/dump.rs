fn main() {
    let args: Vec<String> = std::env::args().collect();
    let kind = overhaul_source::kind::parse(
        &overhaul_source::read::file(std::path::Path::new("kinds/apt.yaml")).unwrap(),
    )
    .unwrap();
    let ups = std::collections::BTreeMap::from([("apt".to_string(), kind)]);
    let def = overhaul_source::definition::parse(
        &overhaul_source::read::file(std::path::Path::new(&args[1])).unwrap(),
        &ups,
    )
    .map_err(|e| format!("{e:#?}"))
    .unwrap();
    let fleet = overhaul_source::fleet::parse(
        &overhaul_source::read::file(std::path::Path::new(&args[2])).unwrap(),
    )
    .map_err(|e| format!("{e:#?}"))
    .unwrap()
    .fleet;
    let facts: overhaul_model::facts::FleetFacts =
        serde_json::from_str(&std::fs::read_to_string(&args[3]).unwrap()).unwrap();
    let plan = overhaul_plan::compile(&def, &fleet, &facts).unwrap();
    eprintln!("{}", overhaul_plan::print::tree(&plan));
    println!("{}", serde_json::to_string(&plan).unwrap());
}
