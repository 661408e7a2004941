mod cases;
mod law;
mod scene;
